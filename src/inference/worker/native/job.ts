import type { AnswerPart, FinishReason } from "@ark/node/protocol";
import type { AnswerWriter } from "../answer_writer.ts";
import type { EngineResult } from "../engine.ts";
import type { LoraSet } from "./lora_set.ts";
import type { Slot } from "./sequence_cache.ts";
import type { TokenSampler } from "./token_sampler.ts";

/** What it takes to compute one answer. */
export interface JobOptions {
  /** Tokens that are read before the first one is written: those of the prompt, and those written before. */
  prompt: readonly number[];
  /** So many of them are the prompt's. */
  promptTokens: number;
  /** The sequence, with the tokens of the prompt that need not be computed again. */
  slot: Slot;
  /** Most tokens to write. */
  most: number;
  /** Alternatives that are told for each token, or undefined where none are wanted. */
  logprobs: number | undefined;
  /** Additions to the model. */
  loras: LoraSet;
  /** Chooses its tokens. */
  sampler: TokenSampler;
  /** Turns them into parts. */
  writer: AnswerWriter;
  /** Takes the parts. */
  part: (part: AnswerPart) => void;
  /** Ends it. */
  signal: AbortSignal;
  /** Whether those that do not go first wait for it. */
  urgent: boolean;
  /** Whether its prompt must be computed in whole chunks, so that the result is the same to the last bit. */
  exact: boolean;
}

/** Fewer tokens of a prompt are hardly quicker computed. */
const LEAST_PACE = 16;

/** One answer that is being computed. */
export class Job {
  /** What it takes. */
  readonly options: JobOptions;
  /** The token that was written last and is not computed yet; null while the prompt is read. */
  last: number | null = null;
  /** Tokens of the prompt that are computed at once, at most. */
  pace = Infinity;
  /** Fulfilled when it is over, rejected when it fails. */
  readonly done: Promise<EngineResult>;
  readonly #settle: PromiseWithResolvers<EngineResult> = Promise.withResolvers();
  readonly #cached: number;
  readonly #began = performance.now();
  #first = 0;
  #end = 0;

  /** Begins now. */
  constructor(options: JobOptions) {
    this.options = options;
    this.#cached = options.slot.tokens.length;
    this.done = this.#settle.promise;
  }

  /**
   * So many tokens of the prompt were broken off: the next ones are fewer, or one who goes first all the time would
   * never let a long chunk come to its end.
   */
  slower(tokens: number): void {
    if (!this.options.exact) this.pace = Math.max(LEAST_PACE, Math.floor(tokens / 2));
  }

  /** Some of the prompt's tokens came to their end: the next ones may be more. */
  faster(): void {
    this.pace *= 2;
  }

  /** Notes when a token was chosen. */
  tick(): void {
    this.#end = performance.now();
    this.#first ||= this.#end;
  }

  /** It is over: what was held back goes out, and the result is told. */
  finish(reason: FinishReason): void {
    const { writer, promptTokens, part } = this.options;
    for (const each of writer.flush()) part(each);
    const { stopText } = writer;
    this.#settle.resolve({
      finish_reason: writer.finishReason(reason),
      ...stopText === undefined ? {} : { stop_text: stopText },
      usage: {
        prompt_tokens: promptTokens,
        completion_tokens: writer.count,
        cached_tokens: Math.min(this.#cached, promptTokens),
      },
      prompt_ms: this.#first - this.#began,
      generation_ms: this.#end - this.#first,
    });
  }

  /** It failed, or was cancelled. */
  fail(error: unknown): void {
    this.#settle.reject(error);
  }
}
