/** Buckets for each doubling of the length, and how many there are: the last one begins at 46,000 tokens. */
const PER_DOUBLING = 4;
const BUCKETS = 63;
/** What an answer counted when it came is reduced to this with each later one: the last 500 say nearly all. */
const FADING = 1 - 1 / 500;
/** As if so many answers had been seen before the first, with lengths that are spread as they usually are. */
const PRIOR: readonly number[] = [25, 50, 90, 140, 210, 300, 430, 800];
/** Fewer of those that were longer say nothing about how much longer. */
const LEAST = 0.5;

/**
 * How long the answers of a model are, as a histogram. Lengths are heavy-tailed: the more an answer has, the more it is
 * still to get, which a mean alone does not tell.
 */
export class AnswerLengths {
  readonly #counts = new Float64Array(BUCKETS);
  readonly #tokens = new Float64Array(BUCKETS);
  #weight = 1;
  #mean = 0;

  /** Makes one that expects what is usual. */
  constructor() {
    for (const tokens of PRIOR) this.note(tokens);
  }

  /** Takes note of the length of a complete answer, in tokens. */
  note(tokens: number): void {
    // Later ones weigh more, instead of all earlier ones less.
    this.#weight /= FADING;
    if (this.#weight > 1e6) this.#rescale();
    const bucket = bucketOf(tokens);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + this.#weight;
    this.#tokens[bucket] = (this.#tokens[bucket] ?? 0) + this.#weight * tokens;
    this.#mean = this.#above(-1).mean;
  }

  /** Tokens of an answer of which nothing is known yet. */
  get mean(): number {
    return this.#mean;
  }

  /** Tokens that are still to be expected of an answer that has so many. At least 1. */
  rest(written: number): number {
    if (written <= 0) return Math.max(1, this.#mean);
    const { count, mean } = this.#above(bucketOf(written));
    // Of one that is longer than all that were seen as much again is expected.
    return count < LEAST ? written : Math.max(1, mean - written);
  }

  #above(bucket: number): { count: number; mean: number } {
    let [count, tokens] = [0, 0];
    for (let index = bucket + 1; index < BUCKETS; index++) {
      count += this.#counts[index] ?? 0;
      tokens += this.#tokens[index] ?? 0;
    }
    return { count: count / this.#weight, mean: tokens / Math.max(Number.MIN_VALUE, count) };
  }

  #rescale(): void {
    for (let index = 0; index < BUCKETS; index++) {
      this.#counts[index] = (this.#counts[index] ?? 0) / this.#weight;
      this.#tokens[index] = (this.#tokens[index] ?? 0) / this.#weight;
    }
    this.#weight = 1;
  }
}

function bucketOf(tokens: number): number {
  return Math.min(BUCKETS - 1, Math.floor(PER_DOUBLING * Math.log2(Math.max(1, tokens))));
}
