import { ArkError } from "@ark/node/protocol";
import { setImmediate } from "node:timers";
import { logError } from "../log.ts";
import type { Candidates } from "./candidates.ts";
import type { Job } from "./job.ts";
import type { Libraries } from "./libraries.ts";
import { tokenLogprob } from "./likelihoods.ts";
import type { Loras } from "./lora_set.ts";
import type { NativeContext } from "./native_model.ts";
import { lengthOf, nextPieces, type Piece } from "./prompt_pieces.ts";
import type { NativeVocabulary } from "./native_vocabulary.ts";
import type { SequenceCache } from "./sequence_cache.ts";

/** What the loop computes with. */
export interface LoopOptions {
  /** llama.cpp. */
  libraries: Libraries;
  /** Where it computes. */
  context: NativeContext;
  /** Tokens and texts. */
  vocabulary: NativeVocabulary;
  /** Scores of tokens. */
  candidates: Candidates;
  /** Additions to the model. */
  loras: Loras;
  /** The sequences. */
  cache: SequenceCache;
  /** Whether a step can be broken off: where state can be cut, what was half computed goes away again. */
  breakable: boolean;
}

/** How long steps of one kind take, in milliseconds: a moving average. */
interface StepTime {
  ms: number;
}

/**
 * After so many steps in a row that were broken off, one is not: who goes first again and again does not keep all others
 * from ever going on, and notices it once in so many times at most.
 */
const MOST_BROKEN_OFF = 24;
/** Shorter steps are not worth another thread, in milliseconds: to get there and back takes about a tenth of that. */
const BLOCKING_MS = 3;
/** How long the pipe may go unread, in milliseconds: less while nothing goes first, since such a one may come. */
const UNHEARD_MS = { urgent: 20, others: 5 };

/**
 * Computes all answers, step by step. A step is one token of every answer that is being written, in one batch, and then
 * one chunk of one prompt, in turn: so a long prompt holds the others up for a chunk at most. A chunk begins at a multiple of
 * its size, and a whole one is a batch of its own, as is each piece of a prompt that must always be computed in the same
 * way, whoever else is there. Ends of other prompts share a batch, so that many short ones take no longer than one.
 *
 * While an answer is there that goes first, the others wait, with all that their sequences hold. A step of theirs that is
 * longer than a moment is computed in another thread, so that it can be broken off when such a one comes: nothing is
 * lost but the time that it took until then. Steps of those that go first are computed in this thread, which is faster.
 *
 * Between steps the event loop has its turn: a cancel is heard after one.
 */
export class DecodeLoop {
  readonly #options: LoopOptions;
  readonly #reading: Job[] = [];
  #writing: Job[] = [];
  #running = false;
  /** Those that go first, and are on their way. */
  readonly #coming = new Set<symbol>();
  /** What is computed in another thread now. */
  #beside: Promise<unknown> | null = null;
  /** Steps in a row that were broken off. */
  #brokenOff = 0;
  /** When the event loop waited last, and looked at the pipe, by the monotonic clock. */
  #heardAt = 0;
  /** How long a step for those takes that do not go first, before it is known: long enough to be broken off. */
  readonly #times = { step: { ms: BLOCKING_MS }, chunk: { ms: BLOCKING_MS } };

  /** Makes a loop that has nothing to do. */
  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Begins an answer; its `done` tells the end. Its sequence and sampler are freed before. */
  add(job: Job): void {
    this.#reading.push(job);
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  /**
   * One comes that goes first: what is computed for others is broken off, and nothing of theirs begins until the returned
   * function is called.
   */
  hurry(): () => void {
    const one = Symbol();
    this.#coming.add(one);
    if (this.#beside !== null) this.#options.context.breakOff();
    return () => void this.#coming.delete(one);
  }

  /** Fulfilled when nothing is computed in another thread: what the context holds may be changed then, at once. */
  async still(): Promise<void> {
    while (this.#beside !== null) await this.#beside;
  }

  async #run(): Promise<void> {
    // What is to be told of the first one goes out before it is computed, and those that came with it are computed with it.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#reading.length + this.#writing.length > 0) {
      for (const job of [...this.#writing, ...this.#reading]) {
        if (job.options.signal.aborted) this.#fail(job, cancelled());
      }
      for (const jobs of byLoras(this.#writing.filter((job) => this.#mayGo(job)))) {
        if (jobs.every((job) => this.#mayGo(job))) await this.#write(jobs);
      }
      const pieces = nextPieces(this.#reading.filter((job) => this.#mayGo(job)), this.#options.context.layout);
      if (pieces.length > 0) await this.#read(pieces);
      await this.#turn();
    }
    this.#running = false;
  }

  /** Whether an answer has this step: where one goes first, or comes that will, those alone that do. */
  #mayGo({ options }: Job): boolean {
    return options.urgent || this.#coming.size === 0 && ![...this.#writing, ...this.#reading].some(isUrgent);
  }

  /** One token for each of some answers with the same additions to the model. */
  async #write(answers: readonly Job[]): Promise<void> {
    const { context } = this.#options;
    const jobs = inOrder(answers);
    const { batch } = context;
    batch.clear();
    for (const { last, options: { slot } } of jobs) {
      if (last !== null) {
        batch.add(last, { sequence: slot.sequence, position: slot.tokens.length, output: true });
      }
    }
    if (!await this.#decode(jobs, this.#times.step)) return;
    for (const [index, job] of jobs.entries()) {
      if (job.last !== null) job.options.slot.tokens.push(job.last);
      this.#choose(job, index);
    }
  }

  /** Reads parts of prompts, in one batch. */
  async #read(pieces: readonly Piece[]): Promise<void> {
    const { context } = this.#options;
    const { batch, layout: { chunkTokens } } = context;
    batch.clear();
    for (const { job: { options: { prompt, slot: { sequence } } }, begin, end } of pieces) {
      for (let position = begin; position < end; position++) {
        batch.add(prompt[position] ?? 0, { sequence, position, output: position === prompt.length - 1 });
      }
    }
    if (!await this.#decode(pieces.map(({ job }) => job), this.#times.chunk)) {
      for (const piece of pieces) piece.job.slower(lengthOf(piece));
      return;
    }
    let size = 0;
    for (const piece of pieces) {
      const { job, begin, end } = piece;
      const { prompt, slot } = job.options;
      size += lengthOf(piece);
      job.faster();
      slot.tokens.push(...prompt.slice(begin, end));
      if (end - begin === chunkTokens && slot.regular === begin) slot.regular = end;
      this.#reading.splice(this.#reading.indexOf(job), 1);
      if (end < prompt.length) {
        this.#reading.push(job);
        continue;
      }
      this.#writing.push(job);
      this.#choose(job, size - 1);
    }
  }

  /**
   * Computes the batch of some answers; false where it was broken off, or failed. Then they fail, too, and what their
   * sequences hold is erased.
   */
  async #decode(jobs: readonly Job[], time: StepTime): Promise<boolean> {
    const { context, loras, cache } = this.#options;
    const [first] = jobs;
    try {
      if (first !== undefined) loras.apply(context.pointer, first.options.loras);
      const began = performance.now();
      if (jobs.some(isUrgent)) context.decode();
      else if (this.#options.breakable && time.ms >= BLOCKING_MS && this.#brokenOff < MOST_BROKEN_OFF) {
        if (!await this.#decodeBeside(jobs)) return false;
      } else {
        context.decode();
        this.#brokenOff = 0;
      }
      time.ms += (performance.now() - began - time.ms) / 4;
      return true;
    } catch (error) {
      logError(error);
      for (const job of jobs) {
        cache.erase(job.options.slot);
        this.#fail(job, new ArkError("engine_failed", "The engine failed while it computed; its log has the details"));
      }
      return false;
    }
  }

  /** Computes it in another thread; broken off where one comes that goes first, or nobody wants it any more. */
  async #decodeBeside(jobs: readonly Job[]): Promise<boolean> {
    const { context } = this.#options;
    const leave = () => {
      if (jobs.every(({ options }) => options.signal.aborted)) context.breakOff();
    };
    const beside = context.decodeBeside();
    this.#beside = beside.catch(() => {});
    for (const { options: { signal } } of jobs) signal.addEventListener("abort", leave);
    leave();
    try {
      const done = await beside;
      this.#heardAt = performance.now();
      // A batch of several sequences is computed in parts: those that were through when it was broken off stay in memory.
      if (!done) { for (const { options: { slot } } of jobs) context.forget(slot.sequence, slot.tokens.length); }
      this.#brokenOff = done ? 0 : this.#brokenOff + 1;
      return done;
    } finally {
      this.#beside = null;
      for (const { options: { signal } } of jobs) signal.removeEventListener("abort", leave);
    }
  }

  /** Chooses the next token of an answer, by the scores at a place of the batch. */
  #choose(job: Job, index: number): void {
    try {
      const { sampler, writer, most, part } = job.options;
      const token = sampler.sample(index);
      job.tick();
      if (token === null || this.#options.vocabulary.isEnd(token)) return this.#finish(job, "stop");
      const { parts, stopped } = writer.push(token, this.#chance(job, { token, index }));
      for (const each of parts) part(each);
      if (stopped) return this.#finish(job, "stop");
      if (writer.count >= most) return this.#finish(job, "length");
      job.last = token;
    } catch (error) {
      this.#fail(job, error);
    }
  }

  #chance({ options: { logprobs } }: Job, { token, index }: { token: number; index: number }) {
    if (logprobs === undefined) return undefined;
    const { libraries, context, candidates, vocabulary } = this.#options;
    const logits = candidates.read(libraries.llama.llama_get_logits_ith(context.pointer, index));
    const bytesOf = (of: number) => vocabulary.bytes(of, { markup: true });
    return tokenLogprob(logits, { token, top: logprobs, bytesOf });
  }

  /**
   * Lets the event loop have its turn. What is always ready at once keeps Deno's runtime from looking at the pipe for
   * dozens of turns, half a second and more; only where it has nothing to do but wait it looks. A timer makes it wait for a
   * millisecond or two, something short in another thread for a tenth of that.
   */
  async #turn(): Promise<void> {
    const most = this.#writing.some(isUrgent) ? UNHEARD_MS.urgent : UNHEARD_MS.others;
    if (performance.now() - this.#heardAt < most) return await new Promise((resolve) => setImmediate(resolve));
    await this.#options.libraries.rest();
    this.#heardAt = performance.now();
  }

  #finish(job: Job, reason: "stop" | "length"): void {
    this.#release(job);
    job.finish(reason);
  }

  #fail(job: Job, error: unknown): void {
    this.#release(job);
    job.fail(error);
  }

  #release(job: Job): void {
    this.#writing = this.#writing.filter((each) => each !== job);
    const at = this.#reading.indexOf(job);
    if (at >= 0) this.#reading.splice(at, 1);
    job.options.sampler.free();
    this.#options.cache.free(job.options.slot);
  }
}

/** Answers with the same additions to the model, together; a batch has one set. */
function byLoras(jobs: readonly Job[]): Job[][] {
  return [...Map.groupBy(jobs, ({ options }) => options.loras.variant).values()];
}

/**
 * Answers by the number of their sequence: llama.cpp computes together what stands in a batch one number after the other,
 * and begins again, with all of the model's weights, wherever that is not so.
 */
function inOrder(jobs: readonly Job[]): Job[] {
  return jobs.toSorted((a, b) => a.options.slot.sequence - b.options.slot.sequence);
}

function isUrgent({ options }: Job): boolean {
  return options.urgent;
}

function cancelled(): ArkError {
  return new ArkError("cancelled", "The request was cancelled");
}
