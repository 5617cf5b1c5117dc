import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** What a simulated node is asked. */
export interface Job {
  /** Tokens to read. */
  readonly prompt: number;
  /** Tokens to write. */
  readonly answer: number;
  /** Told when it gets its slot. */
  began(): void;
  /** Told when it has read the prompt, and writes. */
  first(): void;
  /** Told when it gets its slot, reads the last token of its prompt, and has written all. */
  done(times: { started: number; first: number; ended: number }): void;
  /** Told when the node is seen to be gone, with the tokens that had been written by then. */
  lost(written: number): void;
}

/** Of each node side by side, for the oracle, which looks at all of them for each request. */
export const FACTS = { stride: 5, freeAt: 0, readMs: 1, writeMs: 2, fixedMs: 3, open: 4 } as const;

/** A job at a node. */
interface Task {
  readonly job: Job;
  /** How much slower than the node usually is. */
  readonly jitter: number;
  started: number;
  first: number;
  ended: number;
}

/** How a simulated node stands: `hidden` is gone, and nobody knows it yet. */
export type NodeState = "up" | "draining" | "hidden" | "gone";

/** More than so many do not wait at one node. */
const LONGEST_LINE = 8;
/** How much an answer is slower or faster than the node usually is: deviation of the logarithm. */
const JITTER = 0.1;
/** How long a stall lasts until it is taken for a death: the stall rule of compute.md at 25 tokens/s, and the way. */
const STALL_MS = 1_050;

/** A machine with slots and one line. Its speed does not depend on how many of its slots are taken. */
export class SimNode {
  /** Its number. */
  readonly index: number;
  readonly #timeline: Timeline;
  readonly #random: Random;
  /** Tokens of a prompt in a second, and of an answer. */
  promptRate = 1;
  generationRate = 1;
  /** How much too fast it says that it is. */
  boast = 1;
  slots = 1;
  loaded = true;
  loadMs = 0;
  roundTripMs = 0;
  #state: NodeState = "up";
  #slowness = 1;
  readonly #facts: Float64Array;
  /** When the model is in memory. */
  #loadedAt = 0;
  #running = new Map<Job, Task>();
  #line: Task[] = [];

  /** Makes a node. */
  constructor(index: number, { timeline, random, facts }: { timeline: Timeline; random: Random; facts: Float64Array }) {
    this.#facts = facts;
    this.index = index;
    this.#timeline = timeline;
    this.#random = random;
    this.renew();
  }

  /** Becomes another machine: speeds spread over ten times, one to four slots, four of five warm. */
  renew(): void {
    const random = this.#random;
    const speed = random.spread(6, 60);
    this.generationRate = speed;
    this.promptRate = speed * 25 * random.logNormal(1, 0.2);
    this.boast = random.next() < 0.02 ? random.spread(1.5, 4) : 1;
    this.slots = 1 + random.below(4);
    this.loaded = random.next() < 0.8;
    this.loadMs = random.spread(2_000, 10_000);
    this.roundTripMs = random.spread(1, 40);
    this.#running = new Map();
    this.#line = [];
    this.#loadedAt = 0;
    this.#state = "up";
    this.#slowness = 1;
    this.shaped();
  }

  /** Begins with the slots and speeds that it has now. */
  shaped(): void {
    this.#note();
  }

  /** How it stands. */
  get state(): NodeState {
    return this.#state;
  }

  /** It takes no more work, and ends what it has. */
  drain(): void {
    this.#state = "draining";
    this.#note();
  }

  /** How much slower it is just now: its owner plays. */
  set slowness(factor: number) {
    this.#slowness = factor;
    this.#note();
  }

  /** Requests that have a slot. */
  get busy(): number {
    return this.#running.size;
  }

  /** Requests that wait for one. */
  get waiting(): number {
    return this.#line.length;
  }

  /** Whether it takes one more. */
  get open(): boolean {
    return this.#state === "up" && this.waiting < LONGEST_LINE;
  }

  /** Writes down what the oracle knows: when a slot is free in truth, and the true speeds. */
  #note(): void {
    const at = this.index * FACTS.stride;
    this.#facts[at + FACTS.freeAt] = this.#freeAt();
    this.#facts[at + FACTS.readMs] = 1_000 * this.#slowness / this.promptRate;
    this.#facts[at + FACTS.writeMs] = 1_000 * this.#slowness / this.generationRate;
    this.#facts[at + FACTS.fixedMs] = this.roundTripMs + (this.loaded ? 0 : this.loadMs);
    this.#facts[at + FACTS.open] = this.open ? 1 : 0;
  }

  /** Milliseconds that it needs by its true speed now, without waiting. */
  workMs(prompt: number, answer: number): number {
    return (prompt / this.promptRate + answer / this.generationRate) * 1_000 * this.#slowness;
  }

  /** When one more job would get its slot. */
  #freeAt(): number {
    if (this.#line.length === 0 && this.#running.size < this.slots) return 0;
    const free = [...this.#running.values()].map(({ ended }) => ended).sort((one, other) => one - other);
    while (free.length < this.slots) free.unshift(this.#timeline.now);
    for (const { job, jitter } of this.#line) {
      const from = free.shift() ?? 0;
      free.push(from + this.workMs(job.prompt, job.answer) * jitter);
      free.sort((one, other) => one - other);
    }
    return free[0] ?? 0;
  }

  /** Takes a job; false where it takes none. To one that is gone and not yet known to be, a job is lost. */
  take(job: Job): boolean {
    if (this.#state === "hidden") {
      this.#timeline.after(1_000, () => job.lost(0));
      return true;
    }
    if (!this.open) return false;
    this.#line.push({ job, jitter: this.#random.logNormal(1, JITTER), started: 0, first: 0, ended: 0 });
    this.#next();
    this.#note();
    return true;
  }

  /** Lets go of a job, wherever it is with it. */
  drop(job: Job): void {
    if (this.#state === "hidden" || this.#state === "gone") return;
    if (!this.#running.delete(job)) this.#line = this.#line.filter((task) => task.job !== job);
    this.#next();
    this.#note();
  }

  /** Tokens that it has written of a job until now; null while it does not have its slot. */
  written(job: Job): number | null {
    const task = this.#running.get(job);
    return task === undefined ? null : this.#writtenOf(task);
  }

  #writtenOf({ job, first, ended }: Task): number {
    const { now } = this.#timeline;
    return now < first ? 0 : Math.floor(job.answer * (now - first) / Math.max(1, ended - first));
  }

  #next(): void {
    const { now } = this.#timeline;
    while (this.#running.size < this.slots) {
      const task = this.#line.shift();
      if (task === undefined) return;
      if (!this.loaded) this.#loadedAt = now + this.loadMs;
      this.loaded = true;
      const { job, jitter } = task;
      task.started = Math.max(now, this.#loadedAt);
      task.first = task.started + this.workMs(job.prompt, 1) * jitter;
      task.ended = task.first + this.workMs(0, job.answer - 1) * jitter;
      const among = this.#running;
      among.set(job, task);
      job.began();
      this.#timeline.at(task.first, () => {
        if (among.get(job) === task) job.first();
      });
      this.#timeline.at(task.ended, () => {
        if (among.get(job) !== task) return;
        among.delete(job);
        this.#next();
        this.#note();
        job.done(task);
      });
    }
  }

  /** Dies: what it ran is lost, which whoever asked sees when the stall rule says so. */
  die(seen: () => void): void {
    this.#state = "hidden";
    for (const task of [...this.#running.values(), ...this.#line]) {
      const written = task.ended === 0 ? 0 : this.#writtenOf(task);
      this.#timeline.after(STALL_MS, () => task.job.lost(written));
    }
    this.#running.clear();
    this.#line = [];
    this.#note();
    this.#timeline.after(this.#random.spread(500, 1_500), () => {
      this.#state = "gone";
      seen();
    });
  }
}
