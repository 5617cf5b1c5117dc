/** How many are remembered. */
const MOST = 64;
/** Fewer tell no quantile. */
const LEAST = 8;
/** What is older says nothing any more, in milliseconds. */
const LONGEST_MS = 600_000;

/** The last times that something took, and what most of them stayed within. */
export class RecentTimes {
  readonly #times: number[] = [];
  readonly #at: number[] = [];
  #next = 0;
  /** The sketch is read far more often than it changes. */
  #p95: number | null = null;
  #until = -Infinity;

  /** Takes how long it took, and when that was, both in milliseconds. */
  add(ms: number, now: number): void {
    this.#times[this.#next] = ms;
    this.#at[this.#next] = now;
    this.#next = (this.#next + 1) % MOST;
    this.#until = -Infinity;
  }

  /** What 95 of 100 stayed within, by the nearest rank; null where there are too few of the last ten minutes. */
  p95(now: number): number | null {
    if (now < this.#until) return this.#p95;
    const recent = this.#times.filter((_, index) => now - (this.#at[index] ?? 0) <= LONGEST_MS);
    recent.sort((a, b) => a - b);
    this.#p95 = recent.length < LEAST ? null : recent[Math.ceil(recent.length * 0.95) - 1] ?? null;
    this.#until = now + 1_000;
    return this.#p95;
  }
}
