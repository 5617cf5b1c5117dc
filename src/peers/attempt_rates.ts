const MOST_NAMES = 1_024;

/** Counts attempts by name in a sliding time, for strangers who may come under many names. */
export class AttemptRates {
  readonly #most: number;
  readonly #withinMs: number;
  readonly #attempts = new Map<string, number[]>();

  /** Allows each name so many attempts within a time in milliseconds. */
  constructor(most: number, withinMs: number) {
    this.#most = most;
    this.#withinMs = withinMs;
  }

  /** Whether a name may try once more now; that is then counted. Times are monotonic milliseconds. */
  allows(name: string, now: number): boolean {
    const live = (this.#attempts.get(name) ?? []).filter((at) => now - at < this.#withinMs);
    if (live.length >= this.#most) return false;
    this.#attempts.delete(name);
    const oldest = this.#attempts.keys().next().value;
    if (this.#attempts.size >= MOST_NAMES && oldest !== undefined) this.#attempts.delete(oldest);
    this.#attempts.set(name, [...live, now]);
    return true;
  }
}
