import type { PartSink } from "@ark/node/inference";
import {
  type AnswerPart,
  ArkError,
  decodeUsage,
  type FinishReason,
  type InferenceEvent,
  isFinishReason,
  LIMITS,
  type TokenLogprob,
  type Usage,
} from "@ark/node/protocol";
import { pumpFrom, type TakeBytes } from "@ark/node/transport";
import { ChunkPattern } from "./chunk_pattern.ts";
import type { UpstreamResponse } from "./upstream_client.ts";
import { upstreamFailure } from "./upstream_failure.ts";

/** What an answer is made of beside its stream. */
export interface UpstreamStreamOptions {
  /** Name of the server, for messages. */
  name: string;
  /** The model as the answer calls it. */
  model: string;
  /** Told whenever something arrives. */
  heard(): void;
  /** Told that time which passes now is our own reader's. */
  rest?(): void;
  /** Takes parts by the short way, where it is open. */
  direct?: PartSink | undefined;
  /** Told that nothing more of the stream is wanted, since it said that it is complete. */
  complete?(): void;
}

interface Chunk {
  choices?: {
    text?: unknown;
    delta?: {
      content?: unknown;
      reasoning_content?: unknown;
      reasoning?: unknown;
      tool_calls?: { index?: unknown; id?: unknown; function?: { name?: unknown; arguments?: unknown } }[];
    };
    logprobs?: { content?: unknown } | null;
    finish_reason?: unknown;
  }[];
  usage?: { prompt_tokens?: unknown; completion_tokens?: unknown; prompt_tokens_details?: { cached_tokens?: unknown } };
  error?: unknown;
}

/** Reads the stream of an OpenAI-compatible server as the events of an answer. */
export class UpstreamStream {
  readonly #options: UpstreamStreamOptions;
  readonly #began = performance.now();
  #first: number | null = null;
  #tokens = 0;
  #calls = 0;
  #finish: FinishReason | null = null;
  #usage: Usage | null = null;
  readonly #pattern = new ChunkPattern((data) => plainText(JSON.parse(data)));

  /** Begins an answer. */
  constructor(options: UpstreamStreamOptions) {
    this.#options = options;
  }

  /**
   * The events.
   *
   * @throws {ArkError} `unavailable` where the stream breaks off, or is none; what the server said where it failed.
   */
  async *read(
    body: Pick<UpstreamResponse, "read"> & Partial<Pick<UpstreamResponse, "pump">>,
  ): AsyncGenerator<InferenceEvent> {
    const { model, heard, rest, direct } = this.#options;
    yield { type: "start", model, digest: null, prompt_tokens: 0 };
    const lines = new LineSplitter();
    let done = false;
    let fault: unknown = null;
    let open = false;
    let parts: AnswerPart[] = [];
    let full: Promise<void> | null = null;
    const take = (bytes: Uint8Array): null | false => {
      heard();
      try {
        const known = lines.between ? this.#known(bytes, parts) : 0;
        if (known < bytes.length) done = this.#take(lines.push(known === 0 ? bytes : bytes.subarray(known)), parts);
      } catch (error) {
        // What came before it is shown all the same.
        fault = error ?? new TypeError("Nothing was thrown");
      }
      if (parts.length > 0) {
        // Asked once: it stays open until something is given to the iteration.
        open ||= direct?.open === true;
        if (!open || direct === undefined) return false;
        full = direct.take(parts);
        parts = [];
      }
      return done || fault !== null || full !== null ? false : null;
    };
    const pump = body.pump ?? ((take: TakeBytes) => pumpFrom(() => body.read(), take));
    for (let ended = false; !ended && !done;) {
      ended = await pump(take);
      if (full !== null) {
        rest?.();
        await full;
        heard();
        full = null;
      }
      for (const part of parts.splice(0)) {
        open = false;
        yield part;
      }
      if (fault !== null) throw fault;
    }
    // Some servers leave the mark out; without a reason to finish either, the stream was cut.
    const end = this.#end();
    // Before the end is given out: whoever gets it asks for nothing more.
    this.#options.complete?.();
    yield end;
  }

  /** Adds what the events say that are like those before; where the first one begins that is not. */
  #known(bytes: Uint8Array, parts: AnswerPart[]): number {
    let at = 0;
    while (at < bytes.length) {
      const found = this.#pattern.matchBytes(bytes, at);
      if (found === null) return at;
      parts.push({ type: "text", text: found.text, tokens: this.#count() });
      at = found.next;
    }
    return at;
  }

  /** Adds what the lines say; true where they say that it is all. */
  #take(lines: readonly string[], parts: AnswerPart[]): boolean {
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(line.charCodeAt(5) === 32 ? 6 : 5);
      const known = this.#pattern.match(data);
      if (known !== null) {
        parts.push({ type: "text", text: known, tokens: this.#count() });
        continue;
      }
      if (data === "[DONE]") return true;
      const chunk = this.#parse(data);
      const plain = plainText(chunk);
      if (plain !== null) this.#pattern.learn(data, plain);
      this.#chunk(chunk, parts);
    }
    return false;
  }

  #parse(data: string): Chunk {
    try {
      const chunk = JSON.parse(data);
      if (typeof chunk === "object" && chunk !== null) return chunk;
    } catch {
      // Told below, without the data: it may be text of the answer.
    }
    throw new ArkError("unavailable", `${this.#options.name} sent what is not part of OpenAI's API`);
  }

  #chunk({ choices, usage, error }: Chunk, parts: AnswerPart[]): void {
    if (error !== undefined && error !== null) {
      throw upstreamFailure(this.#options.name, { status: 500, text: JSON.stringify({ error }) });
    }
    const choice = Array.isArray(choices) ? choices[0] : undefined;
    if (typeof choice === "object" && choice !== null) {
      const { delta, text, logprobs, finish_reason } = choice;
      const thought = delta?.reasoning_content ?? delta?.reasoning;
      if (typeof thought === "string" && thought !== "") {
        parts.push({ type: "reasoning", text: thought, tokens: this.#count() });
      }
      const said = delta?.content ?? text;
      if (typeof said === "string" && said !== "") {
        const chances = logprobsOf(logprobs?.content);
        const tokens = this.#count(chances?.length);
        parts.push({ type: "text", text: said, tokens, ...chances === null ? {} : { logprobs: chances } });
      }
      if (Array.isArray(delta?.tool_calls)) this.#toolCalls(delta.tool_calls, parts);
      if (finish_reason !== undefined && finish_reason !== null) {
        this.#finish = isFinishReason(finish_reason) ? finish_reason : "stop";
      }
    }
    if (usage !== undefined && usage !== null) this.#usage = usageOf(usage) ?? this.#usage;
  }

  #toolCalls(
    calls: NonNullable<NonNullable<NonNullable<Chunk["choices"]>[0]["delta"]>["tool_calls"]>,
    parts: AnswerPart[],
  ): void {
    for (const call of calls) {
      const named = call?.function?.name;
      const given = call?.function?.arguments;
      // A call begins with its name; what follows belongs to it, whether or not the server says so.
      if (typeof named === "string" && named !== "") {
        if (this.#calls >= LIMITS.toolCalls) {
          throw new ArkError("unavailable", `${this.#options.name} makes too many calls`);
        }
        const id = typeof call.id === "string" && /^[\x21-\x7e]{1,64}$/.test(call.id)
          ? call.id
          : `call_${crypto.randomUUID().replaceAll("-", "")}`;
        const name = named.slice(0, LIMITS.modelRefLength);
        parts.push({ type: "tool_call", index: this.#calls++, id, name, tokens: this.#count() });
      }
      if (typeof given === "string" && given !== "" && this.#calls > 0) {
        parts.push({ type: "tool_arguments", index: this.#calls - 1, text: given, tokens: this.#count() });
      }
    }
  }

  /** Servers send a chunk for each token, or nearly so; their own count at the end is what holds. */
  #count(tokens = 1): number {
    this.#first ??= performance.now();
    this.#tokens += tokens;
    return tokens;
  }

  #end(): InferenceEvent {
    if (this.#finish === null) {
      throw new ArkError("unavailable", `${this.#options.name} broke off before its answer was complete`);
    }
    const now = performance.now();
    const first = this.#first ?? now;
    return {
      type: "end",
      finish_reason: this.#finish,
      usage: this.#usage ?? { prompt_tokens: 0, completion_tokens: this.#tokens },
      timings: { queue_ms: 0, load_ms: 0, prompt_ms: first - this.#began, generation_ms: now - first },
    };
  }
}

/**
 * The text of a chunk that says nothing but a piece of text, by the same rules as {@linkcode UpstreamStream} has; else
 * null.
 */
function plainText({ choices, usage, error }: Chunk): string | null {
  if ((error !== undefined && error !== null) || (usage !== undefined && usage !== null)) return null;
  const choice = Array.isArray(choices) ? choices[0] : undefined;
  if (typeof choice !== "object" || choice === null) return null;
  const { delta, text, logprobs, finish_reason } = choice;
  const thought = delta?.reasoning_content ?? delta?.reasoning;
  if (typeof thought === "string" && thought !== "") return null;
  if (Array.isArray(delta?.tool_calls) || Array.isArray(logprobs?.content)) return null;
  if (finish_reason !== undefined && finish_reason !== null) return null;
  const said = delta?.content ?? text;
  return typeof said === "string" && said !== "" ? said : null;
}

const LF = 10;
/** Longest line that is held: an event of a mesh may not be longer either. */
const MOST_LINE = LIMITS.eventBytes;

/** Cuts bytes into lines of text; the work is linear in the bytes. */
class LineSplitter {
  readonly #decoder = new TextDecoder();
  #held = "";
  /** Whether nothing is held: what comes next begins a line. */
  between = true;

  push(bytes: Uint8Array): string[] {
    const text = this.#decoder.decode(bytes, { stream: true });
    const lines = text.split("\n");
    lines[0] = this.#held + (lines[0] ?? "");
    this.#held = lines.pop() ?? "";
    // The decoder may hold the beginning of a character only where the last byte is not a line break.
    this.between = bytes.at(-1) === LF || (this.between && bytes.length === 0);
    if (this.#held.length > MOST_LINE) throw new ArkError("unavailable", "The server sent a line that is too long");
    return lines.map((line) => line.endsWith("\r") ? line.slice(0, -1) : line);
  }
}

function usageOf(usage: NonNullable<Chunk["usage"]>): Usage | null {
  const { prompt_tokens, completion_tokens = 0, prompt_tokens_details } = usage;
  return decodeUsage({ prompt_tokens, completion_tokens, cached_tokens: prompt_tokens_details?.cached_tokens });
}

function logprobsOf(value: unknown): TokenLogprob[] | null {
  if (!Array.isArray(value)) return null;
  return value.map((entry) => ({
    ...chanceOf(entry),
    top: (Array.isArray(entry?.top_logprobs) ? entry.top_logprobs : []).map(chanceOf),
  }));
}

function chanceOf(entry: { token?: unknown; logprob?: unknown; bytes?: unknown } | null) {
  const token = typeof entry?.token === "string" ? entry.token : "";
  const logprob = typeof entry?.logprob === "number" ? Math.min(0, entry.logprob) : -9999;
  const bytes = Array.isArray(entry?.bytes)
    ? entry.bytes.filter((byte) => isNatural(byte) && byte < 256)
    : [...new TextEncoder().encode(token)];
  return { token, logprob, bytes };
}

function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
