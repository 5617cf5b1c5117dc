const REMEMBERED = 20;
const FEWEST = 10;
const LONGEST_MS = 30_000;

/**
 * Slows down a peer that breaks off most of what it asks for: while that was so for half of its last twenty requests, and
 * for ten at least, it waits after each for as long as that one ran, thirty seconds at most. So at most half of the
 * engine's time goes into answers that nobody reads, and one who stops an answer now and then waits for nothing.
 */
export class AbortPace {
  readonly #last: boolean[] = [];
  #freeAt = -Infinity;

  /** Milliseconds until it may ask again; 0 where it may now. */
  freeInMs(now: number): number {
    return Math.max(0, this.#freeAt - now);
  }

  /** Requests among the last twenty that it broke off. */
  get brokenOff(): number {
    return this.#last.filter(Boolean).length;
  }

  /** Notes how a request ended that ran for some time; `now` is its end. */
  note(how: { brokenOff: boolean; ranMs: number }, now: number): void {
    this.#last.push(how.brokenOff);
    if (this.#last.length > REMEMBERED) this.#last.shift();
    const slow = how.brokenOff && this.brokenOff >= Math.max(FEWEST, this.#last.length / 2);
    if (slow) this.#freeAt = Math.max(this.#freeAt, now + Math.min(how.ranMs, LONGEST_MS));
  }
}
