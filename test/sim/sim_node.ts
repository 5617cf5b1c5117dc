import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** What a simulated node is asked. */
export interface Job {
  /** Tokens to read. */
  readonly prompt: number;
  /** Tokens to write. */
  readonly answer: number;
  /** Told when it gets its slot, reads the last token of its prompt, and has written all. */
  done(times: { started: number; first: number; ended: number }): void;
  /** Told when the node is seen to be gone, with the tokens that had been written by then. */
  lost(written: number): void;
}

/** Of each node side by side, for the oracle, which looks at all of them for each request. */
export const FACTS = { stride: 5, freeAt: 0, readMs: 1, writeMs: 2, fixedMs: 3, open: 4 } as const;

interface Running {
  readonly job: Job;
  readonly started: number;
  readonly first: number;
  readonly ended: number;
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
  /** When each of its slots is free, with all that waits. */
  #freeAt: number[] = [];
  #running = new Set<Running>();

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
    this.#running = new Set();
    this.#state = "up";
    this.#slowness = 1;
    this.shaped();
  }

  /** Begins with the slots and speeds that it has now. */
  shaped(): void {
    this.#freeAt = Array.from({ length: this.slots }, () => 0);
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
    return this.#freeAt.filter((time) => time > this.#timeline.now).length;
  }

  /** Requests that wait for one. */
  get waiting(): number {
    return Math.max(0, this.#running.size - this.slots);
  }

  /** Whether it takes one more. */
  get open(): boolean {
    return this.#state === "up" && this.waiting < LONGEST_LINE;
  }

  /** Writes down what the oracle knows: when a slot is free in truth, and the true speeds. */
  #note(): void {
    const at = this.index * FACTS.stride;
    this.#facts[at + FACTS.freeAt] = Math.min(...this.#freeAt);
    this.#facts[at + FACTS.readMs] = 1_000 * this.#slowness / this.promptRate;
    this.#facts[at + FACTS.writeMs] = 1_000 * this.#slowness / this.generationRate;
    this.#facts[at + FACTS.fixedMs] = this.roundTripMs + (this.loaded ? 0 : this.loadMs);
    this.#facts[at + FACTS.open] = this.open ? 1 : 0;
  }

  /** Milliseconds that it needs by its true speed now, without waiting. */
  workMs(prompt: number, answer: number): number {
    return (prompt / this.promptRate + answer / this.generationRate) * 1_000 * this.#slowness;
  }

  /** Takes a job; false where it takes none. To one that is gone and not yet known to be, a job is lost. */
  take(job: Job): boolean {
    const { now } = this.#timeline;
    if (this.#state === "hidden") {
      this.#timeline.after(1_000, () => job.lost(0));
      return true;
    }
    if (!this.open) return false;
    let slot = 0;
    for (const [index, time] of this.#freeAt.entries()) if (time < (this.#freeAt[slot] ?? 0)) slot = index;
    const jitter = this.#random.logNormal(1, JITTER);
    const load = this.loaded ? 0 : this.loadMs;
    this.loaded = true;
    const started = Math.max(now, this.#freeAt[slot] ?? 0) + load;
    const first = started + this.workMs(job.prompt, 1) * jitter;
    const ended = first + this.workMs(0, job.answer - 1) * jitter;
    this.#freeAt[slot] = ended;
    const running = { job, started, first, ended };
    const among = this.#running;
    among.add(running);
    this.#note();
    this.#timeline.at(ended, () => {
      if (!among.delete(running)) return;
      this.#note();
      job.done({ started, first, ended });
    });
    return true;
  }

  /** Dies: what it ran is lost, which whoever asked sees when the stall rule says so. */
  die(seen: () => void): void {
    const { now } = this.#timeline;
    this.#state = "hidden";
    for (const { job, first, ended } of this.#running) {
      const written = now < first ? 0 : Math.floor(job.answer * (now - first) / Math.max(1, ended - first));
      this.#timeline.after(STALL_MS, () => job.lost(written));
    }
    this.#running.clear();
    this.#note();
    this.#timeline.after(this.#random.spread(500, 1_500), () => {
      this.#state = "gone";
      seen();
    });
  }
}
