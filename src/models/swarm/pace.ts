/** Weight of the newest chunk in the mean time of chunks. */
const NEWEST = 0.3;
/** Time over which a speed is reckoned, in milliseconds. */
const WINDOW_MS = 2_000;
/** The shortest patience with a chunk in milliseconds: this node itself may be held up for a moment. */
const LEAST_PATIENCE_MS = 500;
/** Patience with the first chunk of a source, in milliseconds. */
const FIRST_PATIENCE_MS = 10_000;

/** Bytes by the time at which they came, over a sliding window. */
export class Flow {
  readonly #arrivals: { at: number; bytes: number }[] = [];
  #first = 0;
  #sum = 0;
  #since: number | null = null;

  /** Takes bytes that came. */
  add(bytes: number, now: number): void {
    this.#since ??= now;
    const last = this.#arrivals.at(-1);
    // A bounded number of entries, however many pieces come.
    if (last !== undefined && this.#first < this.#arrivals.length && now - last.at < WINDOW_MS / 40) {
      last.bytes += bytes;
    } else this.#arrivals.push({ at: now, bytes });
    this.#sum += bytes;
  }

  /** Bytes in a second lately. */
  rate(now: number): number {
    for (;;) {
      const oldest = this.#arrivals[this.#first];
      if (oldest === undefined || now - oldest.at <= WINDOW_MS) break;
      this.#sum -= oldest.bytes;
      this.#first++;
    }
    if (this.#first > 256) {
      this.#arrivals.splice(0, this.#first);
      this.#first = 0;
    }
    if (this.#since === null) return 0;
    return this.#sum / Math.min(WINDOW_MS, Math.max(200, now - this.#since)) * 1_000;
  }

  /** Begins anew after a time without anything to do. */
  rest(): void {
    this.#arrivals.length = 0;
    this.#first = 0;
    this.#sum = 0;
    this.#since = null;
  }
}

/** How fast a source is. */
export class Pace {
  /** Bytes lately. */
  readonly flow = new Flow();
  #chunkMs: number | null = null;
  #lanes: number;
  #trial: { from: number; before: number; since: number } | null = null;
  #settledUntil = 0;

  /** Begins with so many chunks at once. */
  constructor(lanes = FIRST_LANES) {
    this.#lanes = lanes;
  }

  /** Mean time of a chunk in milliseconds, or null before the first one. */
  get chunkMs(): number | null {
    return this.#chunkMs;
  }

  /** How long a chunk may take before another source is asked for it, in milliseconds. */
  get patienceMs(): number {
    return this.#chunkMs === null ? FIRST_PATIENCE_MS : Math.max(LEAST_PATIENCE_MS, 4 * this.#chunkMs);
  }

  /** Chunks that are asked at once. */
  get lanes(): number {
    return this.#lanes;
  }

  /** Takes a chunk that came in so many milliseconds. */
  chunk(ms: number): void {
    this.#chunkMs = this.#chunkMs === null ? ms : this.#chunkMs + NEWEST * (ms - this.#chunkMs);
  }

  /** Asks for fewer chunks at once: it said that they are too many. */
  fewer(now: number): void {
    this.#lanes = Math.max(1, this.#lanes - 1);
    this.#trial = null;
    this.#settledUntil = now + SETTLED_MS;
  }

  /** Tries one chunk more at once where the source was busy all the time, and keeps that where it is faster so. */
  adapt(now: number): void {
    const rate = this.flow.rate(now);
    if (this.#chunkMs !== null && this.#chunkMs / this.#lanes > SLOW_CHUNK_MS && this.#lanes > 1) {
      this.#lanes = 1;
      this.#trial = null;
      this.#settledUntil = now + SETTLED_MS;
    } else if (this.#trial === null) {
      if (now < this.#settledUntil || this.#chunkMs === null || rate === 0 || this.#lanes >= MOST_LANES) return;
      if (this.#chunkMs / this.#lanes > SLOW_CHUNK_MS / 2) return;
      this.#trial = { from: this.#lanes, before: rate, since: now };
      this.#lanes++;
    } else if (now - this.#trial.since >= TRIAL_MS) {
      const { from, before } = this.#trial;
      this.#trial = null;
      if (rate >= before * WORTH) return;
      this.#lanes = from;
      this.#settledUntil = now + SETTLED_MS;
    }
  }
}

const FIRST_LANES = 2;
const MOST_LANES = 8;
/** How long one lane more is tried: the window of a speed and a little, in milliseconds. */
const TRIAL_MS = WINDOW_MS + 500;
const SETTLED_MS = 20_000;
/** How much faster it must be. */
const WORTH = 1.1;
/** Time between two chunks of a source in milliseconds, from which on one at a time is enough. */
const SLOW_CHUNK_MS = 4_000;
