/** How much a worse value counts at once. */
const WORSE = 1 / 2;
/** How much a better one does at least. */
const BETTER = 1 / 5;
/** After so long without a value, in milliseconds, what was before counts no more than 1/e. */
const SPAN_MS = 20_000;

/**
 * A moving mean of costs that believes a worse value sooner than a better one: who became slow loses its traffic with the
 * first answers, who became fast gains it over several.
 */
export class PeakEwma {
  #value: number | null = null;
  #at = 0;

  /** The mean, or null before the first value. */
  get value(): number | null {
    return this.#value;
  }

  /** Takes a cost, at a time in milliseconds of a clock that does not go back. */
  add(cost: number, now: number): void {
    if (!(cost > 0 && cost < Infinity)) return;
    if (this.#value === null) this.#value = cost;
    else {
      const faded = 1 - Math.exp(-(now - this.#at) / SPAN_MS);
      this.#value += (cost - this.#value) * Math.max(cost > this.#value ? WORSE : BETTER, faded);
    }
    this.#at = now;
  }
}
