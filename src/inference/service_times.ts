/** Models whose times are remembered. */
const MOST_MODELS = 64;
/** What an answer takes where none was measured yet, in milliseconds. */
const FIRST_GUESS_MS = 5_000;
/** How much the newest answer counts. */
const WEIGHT = 1 / 4;
/** The longest estimate that is told, in seconds: what lies beyond is a guess about guesses. */
const LONGEST_SECONDS = 600;

/** How long answers take, by model: moving averages, from which it is told how long a request may have to wait. */
export class ServiceTimes {
  readonly #average = new Map<string, number>();

  /** Takes how long an answer was at work. */
  add(key: string, ms: number): void {
    const before = this.#average.get(key) ?? ms;
    this.#average.delete(key);
    this.#average.set(key, before + (ms - before) * WEIGHT);
    const [oldest] = this.#average.keys();
    if (this.#average.size > MOST_MODELS && oldest !== undefined) this.#average.delete(oldest);
  }

  /** Seconds until one has its turn who would be at this position, counted from 1, for a model with so many slots. */
  waitSeconds(key: string, { position, slots }: { position: number; slots: number }): number {
    const average = this.#average.get(key) ?? FIRST_GUESS_MS;
    const turns = Math.ceil(position / Math.max(1, slots));
    return Math.min(LONGEST_SECONDS, Math.max(1, Math.ceil(average * turns / 1_000)));
  }
}
