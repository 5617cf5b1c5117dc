const MOST_SOURCES = 10_000;

/** A bucket for each source: so many requests at once, and as many again over a minute. Bounded, monotonic. */
export class RegistryRates {
  readonly #perMinute: number;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  /** Allows each source so many requests in a minute. */
  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Counts a request; seconds until the source may make it, 0 for now. */
  waitSeconds(source: string, now: number = performance.now()): number {
    const { left: before, at } = this.#buckets.get(source) ?? { left: this.#perMinute, at: now };
    const left = Math.min(this.#perMinute, before + (now - at) * this.#perMinute / 60_000);
    this.#buckets.delete(source);
    const oldest = this.#buckets.keys().next().value;
    if (this.#buckets.size >= MOST_SOURCES && oldest !== undefined) this.#buckets.delete(oldest);
    this.#buckets.set(source, { left: left < 1 ? left : left - 1, at: now });
    return left < 1 ? Math.ceil((1 - left) * 60 / this.#perMinute) : 0;
  }
}
