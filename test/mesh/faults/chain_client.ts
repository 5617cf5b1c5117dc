/** A client that asks for an answer of the chain model, and knows each token that it must get. */
import assert from "node:assert/strict";
import { chainText } from "../../support/chain_engine.ts";
import { MODEL } from "../test_node.ts";

/** What a client asks, and what it does meanwhile. */
export interface ChainQuestion {
  /** Words of the answer. */
  tokens: number;
  /** Whether the model ends by itself, or the limit of tokens ends it. @default {"length"} */
  ends?: "stop" | "length";
  /** Further options of the chain engine, as words of the prompt. */
  prompt?: string;
  /** Told with each piece of the answer how many words there are, and who answers. */
  seen?(tokens: number, node: string | null): void;
  /** Which model. */
  model?: string;
  /** Further parameters. */
  parameters?: Record<string, unknown>;
  /** Gives up. */
  signal?: AbortSignal;
}

/** What a client got. */
export interface ChainAnswer {
  /** How many words it asked for. */
  asked: number;
  /** HTTP status. */
  status: number;
  /** The text that came. */
  text: string;
  /** Whether the end of the stream was told. */
  done: boolean;
  /** Why the answer ended, where that was told. */
  finish: string | null;
  /** The error's sentence and code, or null. */
  error: { message: string; code: string } | null;
  /** Label of the node that began to answer, or null. */
  node: string | null;
  /** Longest silence between two pieces, in milliseconds. */
  gapMs: number;
  /** Tokens of the answer that were counted at its end, or null. */
  counted: number | null;
}

/** One sentence: a capital, no stack, no second line. */
const SENTENCE = /^[A-Z'][^\n]{10,400}$/;

/** Asks, and reads to the end. Never rejects where the node answered anything. */
export async function askChain(api: string, question: ChainQuestion): Promise<ChainAnswer> {
  const { tokens, ends = "length", prompt = "", seen, model = MODEL, parameters = {}, signal } = question;
  const content = `${prompt} ${ends === "stop" ? `#stop=${tokens}` : ""}`;
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model,
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: ends === "stop" ? tokens + 50 : tokens,
      messages: [{ role: "user", content }],
      ...parameters,
    }),
    signal: signal ?? null,
  });
  const answer: ChainAnswer = {
    asked: tokens,
    status: response.status,
    text: "",
    done: false,
    finish: null,
    error: null,
    node: labelOf(response.headers.get("x-ark-node")),
    gapMs: 0,
    counted: null,
  };
  if (response.status !== 200 || response.body === null) {
    return { ...answer, error: (await response.json()).error };
  }
  let last: number | null = null;
  for await (const line of linesOf(response.body)) {
    if (!line.startsWith("data: ")) continue;
    const data = line.slice("data: ".length);
    if (data === "[DONE]") {
      answer.done = true;
      continue;
    }
    const { choices = [], error, usage } = JSON.parse(data);
    if (error !== undefined) answer.error = error;
    if (usage) answer.counted = usage.completion_tokens;
    answer.finish = choices[0]?.finish_reason ?? answer.finish;
    const piece = choices[0]?.delta?.content ?? "";
    if (piece === "") continue;
    const now = performance.now();
    if (last !== null) answer.gapMs = Math.max(answer.gapMs, now - last);
    last = now;
    answer.text += piece;
    seen?.(answer.text.split(" ").length, answer.node);
  }
  return answer;
}

/** The client has every token once, and was told that this is all. */
export function assertWhole(answer: ChainAnswer, context = ""): void {
  const { asked, text, done, error, counted, status } = answer;
  assert.deepEqual({ status, error, text, done, counted }, {
    status: 200,
    error: null,
    text: chainText(asked),
    done: true,
    counted: asked,
  }, context);
}

/** No token is lost or doubled in what the client has; where it is not all, a sentence says why. */
export function assertHonest(answer: ChainAnswer, context = ""): void {
  if (answer.error === null) return assertWhole(answer, context);
  const words = answer.text === "" ? 0 : answer.text.split(" ").length;
  assert.ok(words <= answer.asked, context);
  assert.equal(answer.text, chainText(words), context);
  assert.match(answer.error.message, SENTENCE, context);
  assert.match(answer.error.code, /^[a-z_]{4,40}$/, context);
  assert.ok(!answer.done, `${context}: an answer that failed does not end as if it were whole`);
}

/** The value below which so much of the values are. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function labelOf(header: string | null): string | null {
  return header === null ? null : decodeURIComponent(header);
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
