/**
 * A model whose answer is known beforehand: token n is the word `wn`, and is followed by token n + 1. A token that is
 * lost, doubled or from elsewhere is seen in the text. It tells the ids of its tokens and goes on from those of another
 * node as the real engines do, and refuses to where they are not what it would have written itself.
 *
 * | prompt has | effect |
 * |---|---|
 * | `#stop=40` | the answer is over after 40 words, written here or elsewhere; else it ends by `max_tokens` only |
 * | `#slow=5` | five milliseconds for each token |
 * | `#prefill=300` | so many milliseconds before the first token |
 * | `#linger=300` | so many milliseconds between the last token and the end |
 * | `#tag=x1` | written to the log with what is done |
 *
 * With `CHAIN_SLOW=60` each token takes so many milliseconds, whatever the prompt says. With `CHAIN_FAILS=0.1:7` so many of the requests fail (seed 7), half of them before the first token and half in the
 * middle of the answer; a third of them as an engine that fails, the others as a node that cannot go on. With `FAKE_WORKER_LOG` it appends a line of JSON for each answer that it begins,
 * `{"type":"chain:begin","pid":…,"tag":…,"from":…}`, and for each that ends, `{"type":"chain:over",…,"to":…}`.
 */
import type { Engine, EngineGenerateOptions, EngineLoad, EngineRequest, EngineResult } from "@ark/node/inference";
import { ArkError, decodeTokenIds, encodeTokenIds, type ErrorCode } from "@ark/node/protocol";
import { seeded } from "./seeded.ts";

/** Requests at once, at most. */
const MOST_SLOTS = 8;
/** Ids of the prompt's tokens are above those of the answer. */
const FIRST_PROMPT_ID = 1 << 24;

/** How a request may ask for its tokens, and tell those that were written before. */
type Continued = EngineRequest & { ids?: true; resume?: { prompt?: string; written: string } };

/** The engine. */
export class ChainEngine implements Engine {
  #contextSize = 0;
  readonly #slow = Number(Deno.env.get("CHAIN_SLOW") ?? NaN) || undefined;
  readonly #fails = failures(Deno.env.get("CHAIN_FAILS"));

  /** Takes any model. */
  load({ context_size, threads, slots }: EngineLoad): ReturnType<Engine["load"]> {
    this.#contextSize = context_size;
    const taken = Math.max(1, Math.min(MOST_SLOTS, slots));
    return Promise.resolve({ context_size, threads: threads ?? 1, gpu: null, engine: "chain 1", slots: taken });
  }

  /** Writes words by their number. */
  async generate(request: Continued, { sink, signal }: EngineGenerateOptions): Promise<EngineResult> {
    const { input, parameters, ids } = request;
    const text = input.kind === "chat"
      ? input.messages.map(({ content }) => content).join("\n")
      : input.kind === "completion" && typeof input.prompt === "string"
      ? input.prompt
      : "";
    const prompt = encodeTokenIds([0, ...text.split(/\s+/)].map((word) => FIRST_PROMPT_ID + hash(String(word))));
    const from = writtenBefore(request, prompt);
    const tag = /#tag=([\w.-]+)/.exec(text)?.[1] ?? null;
    log({ type: "chain:begin", pid: Deno.pid, tag, from });
    const fails = this.#fails();
    const promptTokens = decodeTokenIds(prompt).length;
    // As the engines of `inference` do: ids only where they are wanted.
    const start: (tokens: number, ids?: string) => void = sink.start;
    start.call(sink, promptTokens, ids === true ? prompt : undefined);
    await pause(option(text, "prefill"), signal);
    const stop = option(text, "stop") ?? Infinity;
    const last = Math.min(from + (parameters.max_tokens ?? Infinity), this.#contextSize - promptTokens);
    const slow = this.#slow ?? option(text, "slow");
    let next = from;
    for (; next < Math.min(stop, last); next++) {
      if (next - from >= fails.after) throw new ArkError(fails.code, "The chain broke as it was told");
      await pause(slow, signal);
      const part = { type: "text" as const, text: wordOf(next), tokens: 1 };
      sink.part(ids === true ? { ...part, ids: [next] } : part);
    }
    await pause(option(text, "linger"), signal);
    log({ type: "chain:over", pid: Deno.pid, tag, to: next });
    return {
      finish_reason: next >= stop ? "stop" : "length",
      usage: { prompt_tokens: promptTokens, completion_tokens: next - from, cached_tokens: 0 },
      prompt_ms: 1,
      generation_ms: 1,
    };
  }
}

/** The word of a token, with the space before it. */
export function wordOf(token: number): string {
  return token === 0 ? "w0" : ` w${token}`;
}

/** The whole answer of so many tokens. */
export function chainText(tokens: number): string {
  return Array.from({ length: tokens }, (_, token) => wordOf(token)).join("");
}

/** How many tokens were written before, all of which must be of the chain. */
function writtenBefore({ resume }: Continued, prompt: string): number {
  if (resume === undefined) return 0;
  const written = decodeTokenIds(resume.written);
  if (resume.prompt !== undefined && resume.prompt !== prompt) {
    throw new ArkError("engine_failed", "The prompt's tokens are not those of this prompt");
  }
  const wrong = written.findIndex((id, index) => id !== index);
  if (wrong >= 0) throw new ArkError("engine_failed", `Token ${wrong} of those written before is ${written[wrong]}`);
  return written.length;
}

/** Tells for each request after how many tokens it fails, mostly never, and how. */
function failures(told = "0:1"): () => { after: number; code: ErrorCode } {
  const [share = 0, seed = 1] = told.split(":").map(Number);
  const random = seeded(seed);
  return () => {
    const [fails, when, how] = [random() < share, random(), random()];
    const after = !fails ? Infinity : when < 0.5 ? 0 : Math.ceil((when - 0.5) * 40);
    return { after, code: how < 1 / 3 ? "engine_failed" : "unavailable" };
  };
}

/** A turn of the event loop at least, so that a cancel is read between any two tokens. */
async function pause(ms: number | undefined, signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms ?? 0));
  if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
}

function option(text: string, name: string): number | undefined {
  const found = new RegExp(`#${name}=(\\d+)`).exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

function hash(word: string): number {
  let state = 2166136261;
  for (const unit of word) state = Math.imul(state ^ (unit.codePointAt(0) ?? 0), 16777619) >>> 0;
  return state % FIRST_PROMPT_ID;
}

function log(line: unknown): void {
  const path = Deno.env.get("FAKE_WORKER_LOG");
  if (path !== undefined) Deno.writeTextFileSync(path, JSON.stringify(line) + "\n", { append: true });
}
