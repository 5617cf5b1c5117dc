import type { StallRule } from "./stall_rule.ts";

/** What is done about a silence. */
export interface StallListener {
  /** Half of what would be a stall has passed; told once for each silence. */
  half(): void;
  /** It is a stall. False where nobody else could go on: then it is asked again after as long once more. */
  stalled(): boolean;
  /** Told before each look: what has come and was not told yet is told now. */
  looks?(): void;
}

/** How many looks at the clock there are at least until a stall. */
const LOOKS = 8;
const LEAST_LOOK_MS = 5;
const MOST_LOOK_MS = 100;

/**
 * Measures the silence of one that answers, while this node waits for it.
 *
 * No timer is set for a token: as long as there is something to wait for, one timer looks at the clock some times per
 * limit. What passes between two looks counts as no more than twice what should have: the rest is time in which this
 * very process did not run, and what had arrived meanwhile is read before the next look.
 */
export class StallWatch implements Disposable {
  readonly #rule: StallRule;
  readonly #listener: StallListener;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting = false;
  #since = 0;
  /** Monotonic time up to which the silence is counted. */
  #countedTo = 0;
  #silentMs = 0;
  #waitedMs = 0;
  #halfTold = false;
  #lookMs = 0;

  /** Makes one that rests. */
  constructor(rule: StallRule, listener: StallListener) {
    this.#rule = rule;
    this.#listener = listener;
  }

  /** How long this node has waited for all that came, in milliseconds. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** This node waits from now on. */
  wait(): void {
    this.#waiting = true;
    this.#since = this.#countedTo = performance.now();
    this.#silentMs = 0;
    this.#halfTold = false;
    if (this.#timer === undefined) this.#lookLater();
  }

  /** What it waited for has come, at a monotonic time or now, and this node waits for more at once. */
  waitOn(now: number = performance.now()): void {
    if (!this.#waiting) return this.wait();
    this.#waitedMs += now - this.#since;
    this.#rule.note(now - this.#since);
    this.#since = this.#countedTo = now;
    this.#silentMs = 0;
    this.#halfTold = false;
    if (this.#timer === undefined) this.#lookLater();
  }

  /** What it waited for has come, at a monotonic time or now. */
  rest(now: number = performance.now()): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    const ms = now - this.#since;
    this.#waitedMs += ms;
    this.#rule.note(ms);
  }

  /** Stops for good. */
  [Symbol.dispose](): void {
    this.#waiting = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lookLater(): void {
    const limit = this.#rule.thresholdMs;
    if (limit === Infinity) return;
    const step = Math.min(MOST_LOOK_MS, Math.max(LEAST_LOOK_MS, limit / LOOKS));
    this.#lookMs = Math.max(1, Math.min(step, limit - this.#silentMs));
    this.#timer = setTimeout(this.#look, this.#lookMs);
  }

  readonly #look = (): void => {
    // While the timer stands: what is told now sets no other one.
    if (this.#waiting) this.#listener.looks?.();
    this.#timer = undefined;
    // Who rests is looked after again from when it waits the next time.
    if (!this.#waiting) return;
    const now = performance.now();
    this.#silentMs += Math.min(now - this.#countedTo, 2 * this.#lookMs);
    this.#countedTo = now;
    const limit = this.#rule.thresholdMs;
    if (this.#silentMs >= limit) {
      this.#silentMs = 0;
      if (this.#listener.stalled()) return;
    } else if (!this.#halfTold && this.#silentMs >= limit / 2) {
      this.#halfTold = true;
      this.#listener.half();
    }
    if (this.#waiting) this.#lookLater();
  };
}
