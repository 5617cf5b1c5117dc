import { type AnswerPart, ArkError, type ErrorCode } from "@ark/node/protocol";
import type { PromptStart } from "./job.ts";
import type { EngineRequest, EngineResult } from "./worker/engine.ts";
import type { WorkerTimes } from "./worker_times.ts";

/** Takes one answer of a worker. Exactly one of `end` and `fail` is called, once, and nothing after it. */
export interface AnswerListener {
  /** The prompt is in tokens and fits. */
  start(prompt: PromptStart): void;
  /** The next part of the answer. */
  part(part: AnswerPart): void;
  /** The answer is complete. */
  end(result: EngineResult): void;
  /** The answer ended otherwise; the worker itself may be at its end, too. */
  fail(error: ArkError): void;
}

/** A request that the worker is at. */
interface Running {
  readonly listener: AnswerListener;
  readonly kind: EngineRequest["input"]["kind"];
  readonly urgent: boolean;
  /** How many times longer than usual nothing may be heard. */
  readonly patience: number;
  promptTokens: number;
  /** Bound of the tokens that were written before, and are read as the prompt is. */
  readonly writtenTokens: number;
  cancelled: boolean;
  /** By when something must be heard, by the monotonic clock, and what else it means. */
  due: { at: number; otherwise: string };
}

/** Four bytes of a token's id are so many characters. */
const BASE64_PER_TOKEN = 16 / 3;
/** What a token of a prompt takes where nothing was measured yet, in milliseconds: a large model on a slow CPU. */
const FIRST_GUESS_MS = 100;
/** How many times longer than measured a prompt may take: a long one takes more for each token, and others run beside. */
const GENEROSITY = 8;
/** A call of a function may be kept back until it is whole, so that nothing is heard for many tokens. */
const CALL_PATIENCE = 10;

/** How long the first part of an answer may take, in milliseconds, at so many milliseconds for each token of the prompt. */
export function firstPartMs(
  promptTokens: number,
  { perTokenMs, beside, floor }: { perTokenMs: number; beside: number; floor: number },
): number {
  return Math.max(floor, promptTokens * perTokenMs * GENEROSITY * Math.max(1, beside));
}

/**
 * The requests that a worker is at, by number. Each has a time by which something must be heard of it; one timer
 * watches over all, so that a token costs no timer.
 */
export class WorkerRequests {
  readonly #times: WorkerTimes;
  readonly #late: (error: ArkError) => void;
  readonly #running = new Map<number, Running>();
  #count = 0;
  #perTokenMs = FIRST_GUESS_MS;
  #measured = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakesAt = Infinity;

  /** Makes an empty set. `late` is called once, when the engine must be taken for hung. */
  constructor(times: WorkerTimes, late: (error: ArkError) => void) {
    this.#times = times;
    this.#late = late;
  }

  /** How many run. */
  get size(): number {
    return this.#running.size;
  }

  /** Takes in a request, and returns its number. */
  add(request: Pick<EngineRequest, "input" | "parameters" | "urgent" | "resume">, listener: AnswerListener): number {
    const { input, parameters, urgent = false } = request;
    const id = ++this.#count;
    const calls = input.kind === "chat" && input.tools !== undefined;
    this.#running.set(id, {
      listener,
      kind: input.kind,
      urgent,
      patience: calls || parameters.format !== undefined ? CALL_PATIENCE : 1,
      promptTokens: 0,
      writtenTokens: (request.resume?.written.length ?? 0) / BASE64_PER_TOKEN,
      cancelled: false,
      due: {
        at: performance.now() + this.#times.tokens,
        otherwise: "The engine could not read the prompt in time: the model's chat template may not end",
      },
    });
    this.#watch();
    return id;
  }

  /** Notes that a request was cancelled; false where it does not run, or was cancelled before. */
  cancel(id: number): boolean {
    const running = this.#running.get(id);
    if (running === undefined || running.cancelled) return false;
    running.cancelled = true;
    this.#expect(running, this.#times.cancel, "The engine did not end a request that was cancelled");
    return true;
  }

  /** The prompt of a request is in tokens. */
  start(id: number, prompt: PromptStart): void {
    const running = this.#known(id);
    running.promptTokens = prompt.promptTokens;
    const toRead = prompt.promptTokens + running.writtenTokens;
    const { firstToken: floor } = this.#times;
    const ms = firstPartMs(toRead, { perTokenMs: this.#perTokenMs, beside: this.#running.size, floor });
    // A cancel has a time of its own.
    if (!running.cancelled) this.#expect(running, ms, "The engine hung while it read a prompt, and is started again");
    running.listener.start(prompt);
  }

  /** A part of an answer. */
  part(id: number, part: AnswerPart): void {
    const running = this.#known(id);
    if (!running.cancelled) {
      const ms = this.#times.interToken * running.patience;
      const { due, kind } = running;
      // Texts and documents are read one after the other: the time for all of them holds on.
      const rest = kind === "embed" || kind === "rerank" ? due.at - performance.now() : 0;
      this.#expect(running, Math.max(ms, rest), "The engine hung while it wrote an answer, and is started again");
    }
    running.listener.part(part);
  }

  /** An answer is complete. */
  end(id: number, result: EngineResult): void {
    const { listener, promptTokens, writtenTokens } = this.#take(id);
    const read = promptTokens - result.usage.cached_tokens;
    // How much of what was written before was there is not told.
    if (writtenTokens === 0 && read > 0 && result.prompt_ms > 0) this.#measure(result.prompt_ms / read);
    listener.end(result);
  }

  /** A request ended otherwise. */
  error(id: number, { code, message }: { code: ErrorCode; message: string }): void {
    this.#take(id).listener.fail(new ArkError(code, message));
  }

  /** The worker is at its end: every request fails. */
  failAll(error: ArkError): void {
    clearTimeout(this.#timer);
    const all = [...this.#running.values()];
    this.#running.clear();
    for (const { listener } of all) listener.fail(error);
  }

  #known(id: number): Running {
    const running = this.#running.get(id);
    if (running === undefined) {
      throw new ArkError("engine_failed", "The engine's process spoke of a request that does not run");
    }
    return running;
  }

  #take(id: number): Running {
    const running = this.#known(id);
    this.#running.delete(id);
    if (this.#running.size === 0) {
      clearTimeout(this.#timer);
      this.#wakesAt = Infinity;
    }
    return running;
  }

  #expect(running: Running, ms: number, otherwise: string): void {
    running.due = { at: performance.now() + ms, otherwise };
    if (running.due.at < this.#wakesAt) this.#watch();
  }

  #measure(ms: number): void {
    this.#perTokenMs = this.#measured ? this.#perTokenMs + (ms - this.#perTokenMs) / 4 : ms;
    this.#measured = true;
  }

  /** Sees to it that the timer wakes when the first of them is due. Where a time was put off since, it sleeps again. */
  #watch(): void {
    const next = Math.min(...this.#running.values().map(({ due }) => due.at));
    if (next >= this.#wakesAt || next === Infinity) return;
    clearTimeout(this.#timer);
    this.#wakesAt = next;
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, next - performance.now()));
  }

  #wake(): void {
    this.#wakesAt = Infinity;
    const now = performance.now();
    const all = [...this.#running.values()];
    if (all.some(({ urgent }) => urgent)) {
      // Nothing is heard of those that wait for one that goes first.
      for (const { due, urgent } of all) if (!urgent && due.at <= now) due.at = now + this.#times.interToken;
    }
    const late = all.find(({ due }) => due.at <= now);
    if (late === undefined) this.#watch();
    else this.#late(new ArkError("engine_failed", late.due.otherwise));
  }
}
