const MINUTE_MS = 60_000;

/** When the requests of the last minute began, by a monotonic clock: in no minute are there more than the limit. */
export class RateWindow {
  #began: number[] = [];

  /** Requests that began in the minute before `now`. */
  count(now: number): number {
    const first = this.#began.findIndex((began) => began > now - MINUTE_MS);
    if (first > 0) this.#began.splice(0, first);
    else if (first < 0) this.#began = [];
    return this.#began.length;
  }

  /** Milliseconds until one more may begin; 0 where it may now. */
  freeInMs(most: number, now: number): number {
    const count = this.count(now);
    if (count < most) return 0;
    return (this.#began[count - most] ?? now) + MINUTE_MS - now;
  }

  /** Notes a request that begins now. */
  add(now: number): void {
    this.count(now);
    this.#began.push(now);
  }
}
