/** A sum whose parts count half after each half-life. */
export class Decayed {
  readonly #halfLifeMs: number;
  #sum = 0;
  #at = 0;

  /** Makes an empty sum. */
  constructor(halfLifeMs: number) {
    this.#halfLifeMs = halfLifeMs;
  }

  /** Adds at a time, in milliseconds of a clock that does not go back. */
  add(amount: number, now: number): void {
    this.#sum = this.at(now) + amount;
    this.#at = now;
  }

  /** What it comes to at a time. */
  at(now: number): number {
    return this.#sum === 0 ? 0 : this.#sum * 2 ** (-Math.max(0, now - this.#at) / this.#halfLifeMs);
  }
}
