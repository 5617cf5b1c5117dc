/** What was asked and answered in one step of time. */
export interface HistorySample {
  /** When the step began, milliseconds since 1970. */
  at: number;
  /** Requests that ended in it. */
  requests: number;
  /** Of them, those that failed. */
  failed: number;
  /** Tokens of their answers. */
  tokens: number;
  /** Median of the times to their first tokens in milliseconds, or null where there was none. */
  first_token_ms: number | null;
}

/** How one request ended. */
export interface HistoryEnd {
  /** Whether it came to its end. */
  ok: boolean;
  /** Tokens of its answer. */
  tokens: number;
  /** Time to its first token in milliseconds, or null. */
  firstTokenMs: number | null;
}

/** Options of {@linkcode History}. */
export interface HistoryOptions {
  /** Length of one step in milliseconds. @default {10000} */
  stepMs?: number;
  /** Steps that are kept. @default {2160} */
  steps?: number;
  /** Milliseconds since 1970. */
  now?(): number;
}

/** Of more first tokens in one step, the rest does not change the median by much. */
const MOST_TIMES = 1_000;

/** The last hours in numbers, in memory only: 6 hours in steps of 10 seconds. Steps in which nothing ended are left out. */
export class History {
  readonly #stepMs: number;
  readonly #steps: number;
  readonly #now: () => number;
  readonly #samples: HistorySample[] = [];
  #times: number[] = [];

  /** Begins empty. */
  constructor({ stepMs = 10_000, steps = 2_160, now = Date.now }: HistoryOptions = {}) {
    this.#stepMs = stepMs;
    this.#steps = steps;
    this.#now = now;
  }

  /** Takes note of the end of a request. */
  note({ ok, tokens, firstTokenMs }: HistoryEnd): void {
    const sample = this.#current();
    sample.requests++;
    if (!ok) sample.failed++;
    sample.tokens += tokens;
    if (firstTokenMs !== null && this.#times.length < MOST_TIMES) this.#times.push(firstTokenMs);
  }

  /** Everything that is kept, oldest first. `step_ms` is the length of a step, `now` the wall clock. */
  shown(): { step_ms: number; steps: number; now: number; samples: HistorySample[] } {
    this.#close();
    this.#forget();
    return {
      step_ms: this.#stepMs,
      steps: this.#steps,
      now: this.#now(),
      samples: this.#samples.map((sample) => ({ ...sample })),
    };
  }

  #current(): HistorySample {
    const at = Math.floor(this.#now() / this.#stepMs) * this.#stepMs;
    const last = this.#samples.at(-1);
    // A clock that was set back must not give two samples of one time.
    if (last !== undefined && last.at >= at) return last;
    this.#close();
    this.#times = [];
    const sample = { at, requests: 0, failed: 0, tokens: 0, first_token_ms: null };
    this.#samples.push(sample);
    this.#forget();
    return sample;
  }

  /** Works out what can be told of the last step only as a whole. */
  #close(): void {
    const last = this.#samples.at(-1);
    if (last === undefined || this.#times.length === 0) return;
    const sorted = this.#times.toSorted((a, b) => a - b);
    last.first_token_ms = sorted[sorted.length >> 1] ?? null;
  }

  #forget(): void {
    const oldest = this.#now() - this.#steps * this.#stepMs;
    while (this.#samples.length > this.#steps || (this.#samples[0]?.at ?? Infinity) < oldest) this.#samples.shift();
  }
}
