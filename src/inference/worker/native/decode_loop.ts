import { ArkError } from "@ark/node/protocol";
import { setImmediate } from "node:timers";
import { logError } from "../log.ts";
import type { Candidates } from "./candidates.ts";
import type { Job } from "./job.ts";
import type { Libraries } from "./libraries.ts";
import { tokenLogprob } from "./likelihoods.ts";
import type { Loras } from "./lora_set.ts";
import type { NativeContext } from "./native_model.ts";
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
}

/**
 * Computes all answers, step by step. A step is one token of every answer that is being written, in one batch, and then
 * one chunk of one prompt, in turn: so a long prompt holds the others up for a chunk at most. A chunk is a batch of its
 * own and begins at a multiple of its size, so a prompt is always computed in the same way, whoever else is there.
 *
 * While an answer is there that goes first, the others wait, with all that their sequences hold.
 *
 * Between steps the event loop has its turn: a cancel is heard after one.
 */
export class DecodeLoop {
  readonly #options: LoopOptions;
  readonly #reading: Job[] = [];
  #writing: Job[] = [];
  #running = false;

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

  async #run(): Promise<void> {
    while (this.#reading.length + this.#writing.length > 0) {
      for (const job of [...this.#writing, ...this.#reading]) {
        if (job.options.signal.aborted) this.#fail(job, cancelled());
      }
      const first = this.#first();
      for (const jobs of byLoras(this.#writing.filter(first))) this.#write(jobs);
      const next = this.#reading.findIndex(first);
      for (const job of next < 0 ? [] : this.#reading.splice(next, 1)) this.#read(job);
      await turn();
    }
    this.#running = false;
  }

  /** Which answers have this step: where one goes first, those alone that do. */
  #first(): (job: Job) => boolean {
    const urgent = [...this.#writing, ...this.#reading].some(({ options }) => options.urgent);
    return ({ options }) => options.urgent || !urgent;
  }

  /** One token for each of some answers with the same additions to the model. */
  #write(jobs: readonly Job[]): void {
    const { context } = this.#options;
    const { batch } = context;
    batch.clear();
    for (const { last, options: { slot } } of jobs) {
      if (last !== null) {
        batch.add(last, { sequence: slot.sequence, position: slot.tokens.length, output: true });
      }
    }
    if (!this.#decode(jobs)) return;
    for (const [index, job] of jobs.entries()) {
      if (job.last !== null) job.options.slot.tokens.push(job.last);
      this.#choose(job, index);
    }
  }

  /** The next chunk of a prompt; with its last one, the first token of the answer. */
  #read(job: Job): void {
    const { context } = this.#options;
    const { batch, layout: { chunkTokens } } = context;
    const { prompt, slot } = job.options;
    const begin = slot.tokens.length;
    const end = Math.min(prompt.length, (Math.floor(begin / chunkTokens) + 1) * chunkTokens);
    batch.clear();
    const chunk = prompt.slice(begin, end);
    for (const [index, token] of chunk.entries()) {
      const position = begin + index;
      batch.add(token, { sequence: slot.sequence, position, output: position === prompt.length - 1 });
    }
    if (!this.#decode([job])) return;
    slot.tokens.push(...chunk);
    if (chunk.length === chunkTokens && slot.regular === begin) slot.regular = end;
    if (end < prompt.length) return void this.#reading.push(job);
    this.#writing.push(job);
    this.#choose(job, chunk.length - 1);
  }

  /** Computes the batch of some answers; they fail where that fails, and what their sequences hold is erased. */
  #decode(jobs: readonly Job[]): boolean {
    const { context, loras, cache } = this.#options;
    const [first] = jobs;
    try {
      if (first !== undefined) loras.apply(context.pointer, first.options.loras);
      context.decode();
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

/** How long the pipe may go unread, in milliseconds. */
const UNREAD_MS = 20;
let read = 0;

/**
 * Lets the event loop have its turn. What is always ready at once keeps Deno's runtime from looking at the pipe for
 * dozens of turns, half a second and more; only a timer makes it look, and takes a millisecond.
 */
async function turn(): Promise<void> {
  if (performance.now() - read < UNREAD_MS) return await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setTimeout(resolve, 0));
  read = performance.now();
}

/** Answers with the same additions to the model, together; a batch has one set. */
function byLoras(jobs: readonly Job[]): Job[][] {
  return [...Map.groupBy(jobs, ({ options }) => options.loras.variant).values()];
}

function cancelled(): ArkError {
  return new ArkError("cancelled", "The request was cancelled");
}
