/**
 * A worker without a model: it speaks the real protocol (it is `runWorker()` with another engine), and answers every
 * question with `w0 w1 w2 …`, as many words as `max_tokens`, 16 without it. A prompt has as many tokens as words. Stop
 * texts end an answer.
 *
 * Where a function must be called, or the last message names some (`#call=weather`), it calls them with the smallest
 * arguments that their schemas allow, in pieces. With the format `json` or `json_schema` it writes the smallest value. A
 * text becomes a vector of 8 numbers, and a document's score is which part of the query's words it has. It has as many
 * slots as asked for, up to 8.
 *
 * Its tokens have ids: those of the prompt count from 1, and those of the answer from 1,000. With `resume` it goes on
 * after the written ones, which must be such, and what the prompt says of going wrong does not hold.
 *
 * What goes wrong is chosen by the model's file name or by text in the prompt:
 *
 * | file name has | effect |
 * |---|---|
 * | `fail-load` | the model cannot be loaded |
 * | `crash-load` | the process ends while it loads |
 * | `hang-load` | it never finishes loading |
 * | `step-load` | it tells a thousand times how far it has come |
 *
 * | prompt has | effect |
 * |---|---|
 * | `#crash-after=3` | the process ends after three tokens |
 * | `#fail-after=3` | the request fails after three tokens, with `engine_failed` |
 * | `#hang` | no token ever, and a cancel is not heard |
 * | `#hang-after=3` | the same after three tokens |
 * | `#slow=5` | five milliseconds for each token |
 * | `#garbage` | bytes that are no frame |
 * | `#stop=3` | the answer is over after three words |
 * | `#stamp` | each word is the wall clock at which it was written, in milliseconds with three decimals |
 * | `#think` | three tokens of reasoning before the answer; so does `think: true` |
 *
 * With `FAKE_WORKER_BYTES` set it says that it takes so much memory, and 1,000 bytes of a GPU's. With `FAKE_WORKER_LOG` set, every message that arrives is appended there as a line of JSON, and beside them
 * `{"type":"fake:start","pid":…,"environment":[names]}` and, when an answer is over,
 * `{"type":"fake:over","tokens":…,"cancelled":…}`.
 */
import { setImmediate } from "node:timers";
import { type Engine, type EngineGenerateOptions, type EngineRequest, runWorker } from "@ark/node/inference";
import { ArkError, decodeTokenIds, type FinishReason, type TokenLogprob } from "@ark/node/protocol";
import { promptIds } from "../../src/inference/worker/resumption.ts";
import { StopFilter } from "../../src/inference/worker/stop_filter.ts";
import { chance, mostTokens, option, overlap, piecesOf, textOf, vectorOf, wordsOf } from "./fake_answer.ts";

/** The id of an answer's first token. */
const FIRST_ID = 1_000;
/** Requests at once, at most. */
const MOST_SLOTS = 8;

class FakeEngine implements Engine {
  #contextSize = 0;
  #last: { principal: string; words: string[] } = { principal: "", words: [] };

  async load(
    { path, context_size, threads, slots }: Parameters<Engine["load"]>[0],
    progress?: (fraction: number) => void,
  ) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.includes("fail-load")) throw new Error("the tensors make no sense.");
    if (name.includes("crash-load")) Deno.exit(9);
    if (name.includes("hang-load")) await new Promise(() => {});
    if (name.includes("step-load")) { for (let step = 0; step <= 1_000; step++) progress?.(step / 1_000); }
    this.#contextSize = context_size;
    const taken = Math.max(1, Math.min(MOST_SLOTS, slots));
    const told = Number(Deno.env.get("FAKE_WORKER_BYTES") ?? 0);
    const memory = told > 0 ? { bytes: told, vram_bytes: 1_000 } : {};
    return { context_size, threads: threads ?? 1, gpu: null, engine: "fake 1", slots: taken, ...memory };
  }

  async generate(request: EngineRequest, options: EngineGenerateOptions) {
    const { input, parameters, principal, count_only, ids, resume } = request;
    const text = textOf(input);
    const before = writtenOf(request);
    const prompt = resume?.prompt === undefined ? null : decodeTokenIds(resume.prompt);
    // What was rendered elsewhere is taken as it is.
    const words = prompt === null ? wordsOf(text) : prompt.map(String);
    const cached_tokens = principal === this.#last.principal ? common(words, this.#last.words) : 0;
    this.#last = { principal, words };
    const room = this.#room(input.kind === "embed" ? longest(input.texts) : words);
    const { sink } = options;
    sink.start(words.length, promptIds(request, prompt ?? words.map((_, index) => index + 1)));
    if (resume === undefined && /#hang(?!-)/.test(text)) await new Promise(() => {});
    const written = input.kind === "embed" || input.kind === "rerank" || count_only
      ? { finish_reason: "stop" as const, count: 0 }
      : await write({ input, parameters }, { ...options, room, text, before, ids: ids === true });
    if (input.kind === "embed" && !count_only) {
      for (const [index, each] of input.texts.entries()) {
        await turn(option(text, "slow"), options);
        sink.part({ type: "vector", index, values: vectorOf(each) });
      }
    } else if (input.kind === "rerank" && !count_only) {
      for (const [index, each] of input.documents.entries()) {
        await turn(option(text, "slow"), options);
        sink.part({ type: "score", index, score: overlap(input.query, each) });
      }
    }
    const { count, ...ended } = written;
    log({ type: "fake:over", tokens: count, cancelled: false });
    return {
      ...ended,
      usage: { prompt_tokens: words.length, completion_tokens: count, cached_tokens },
      prompt_ms: 1,
      generation_ms: count,
    };
  }

  #room(words: readonly string[]): number {
    const room = this.#contextSize - words.length;
    if (room >= 1) return room;
    throw new ArkError(
      "context_exceeded",
      `The prompt has ${words.length} tokens and the context ${this.#contextSize}; shorten the prompt`,
    );
  }
}

type Written = { finish_reason: FinishReason; stop_text?: string; count: number };

interface WriteOptions extends EngineGenerateOptions {
  room: number;
  text: string;
  /** Tokens that were written before. */
  before: number;
  /** Whether parts tell the ids of their tokens. */
  ids: boolean;
}

async function write(
  { input, parameters }: Pick<EngineRequest, "input" | "parameters">,
  { sink, signal, room, text, before, ids }: WriteOptions,
): Promise<Written> {
  const resumed = before > 0 && parameters.max_tokens !== undefined ? before : 0;
  const most = Math.min(resumed + mostTokens(input, parameters), room);
  const stops = new StopFilter(parameters.stop ?? []);
  let all = "";
  let seen = 0;
  let told = before;
  let quiet = false;
  const waiting: { start: number; chance: TokenLogprob }[] = [];
  /** What counts with a part that is shown after so many tokens. */
  const counts = (tokens: number) => {
    const fresh = Array.from({ length: Math.max(0, tokens - told) }, (_, index) => FIRST_ID + told + index);
    told = Math.max(told, tokens);
    return { tokens: fresh.length, ...ids && fresh.length > 0 ? { ids: fresh } : {} };
  };
  const show = (shown: string, tokens: number) => {
    if (shown === "") return;
    seen += shown.length;
    const chances = waiting.splice(0, waiting.filter(({ start }) => start < seen).length);
    if (quiet) return;
    const logprobs = parameters.logprobs === undefined ? {} : { logprobs: chances.map((each) => each.chance) };
    sink.part({ type: "text", text: shown, ...counts(tokens), ...logprobs });
  };
  const fails = before === 0 ? text : "";
  const pieces = piecesOf(input, parameters);
  const stamped = text.includes("#stamp");
  for (let token = 0;; token++) {
    const next = pieces.next();
    if (next.done || token >= most) {
      quiet = false;
      show(stops.flush(), token);
      return { finish_reason: next.done ? next.value : "length", count: Math.max(0, token - before) };
    }
    if (token === option(fails, "crash-after")) {
      // What it wrote before is on its way first, as that of a real step is.
      await Promise.resolve();
      Deno.exit(9);
    }
    if (token === option(fails, "hang-after")) await new Promise(() => {});
    if (token === option(fails, "fail-after")) throw new ArkError("engine_failed", "The fake failed as it was told");
    if (fails.includes("#garbage")) Deno.stdout.writeSync(Uint8Array.from([255, 255, 255, 255, 0]));
    quiet = token < before;
    if (!quiet) await turn(option(text, "slow"), { signal, token });
    const piece = next.value;
    if (piece.type === "text" && stamped) piece.text = ` ${(performance.timeOrigin + performance.now()).toFixed(3)}`;
    if (piece.type !== "text") {
      if (!quiet) sink.part({ ...piece, ...counts(token + 1) });
      continue;
    }
    if (parameters.logprobs !== undefined) {
      waiting.push({ start: all.length, chance: chance(piece.text, { index: token, top: parameters.logprobs }) });
    }
    all += piece.text;
    const { text: shown, stopped } = stops.push(piece.text);
    show(shown, token + 1);
    if (stopped) {
      const stop_text = parameters.stop?.find((stop) => all.startsWith(stop, seen)) ?? "";
      return { finish_reason: "stop", stop_text, count: Math.max(0, token + 1 - before) };
    }
  }
}

/** How many tokens of an answer were written before; all of them as this engine writes them. */
function writtenOf({ input, count_only, resume }: EngineRequest): number {
  if (resume === undefined) return 0;
  const written = decodeTokenIds(resume.written);
  const sound = written.every((id, index) => id === FIRST_ID + index) && !count_only && input.kind !== "embed" &&
    input.kind !== "rerank";
  if (!sound) throw new ArkError("bad_request", "The fake never wrote this");
  return written.length;
}

/** A turn of the event loop, so that a cancel is read between any two tokens. */
async function turn(
  slow: number | undefined,
  { signal, token = 0 }: { signal: AbortSignal; token?: number },
): Promise<void> {
  await new Promise<void>((resolve) => slow === undefined ? setImmediate(resolve) : setTimeout(resolve, slow));
  if (!signal.aborted) return;
  log({ type: "fake:over", tokens: token, cancelled: true });
  throw new ArkError("cancelled", "The request was cancelled");
}

function longest(texts: readonly (string | number[])[]): string[] {
  return texts.map(wordsOf).reduce((most, words) => words.length > most.length ? words : most, []);
}

function common(a: string[], b: string[]): number {
  const different = a.findIndex((word, index) => word !== b[index]);
  return different < 0 ? Math.min(a.length, b.length) : different;
}

function log(line: unknown): void {
  const path = Deno.env.get("FAKE_WORKER_LOG");
  if (path !== undefined) Deno.writeTextFileSync(path, JSON.stringify(line) + "\n", { append: true });
}

log({ type: "fake:start", pid: Deno.pid, environment: Object.keys(Deno.env.toObject()).sort() });
await runWorker({ engine: new FakeEngine(), observe: log });
