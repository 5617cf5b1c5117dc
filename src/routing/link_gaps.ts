/** A shorter silence tells nothing of a link, in milliseconds. */
const LEAST_MS = 100;
/** Half of what a silence says is forgotten after so long, in milliseconds. */
const HALF_LIFE_MS = 1_800_000;
/** Peers that are remembered. */
const MOST = 1_024;

/** What the silences of one link are noted in. */
export interface LinkGap {
  /** The longest silence of late after which a stream went on, in milliseconds; 0 where there was none. */
  readonly slowestMs: number;
  /** A stream went on after so long, in milliseconds. */
  note(ms: number): void;
}

interface Peak {
  ms: number;
  at: number;
}

/**
 * How long streams are silent that are well, for each who answers: a link that hangs now and then will hang again, and that
 * is no reason to take an answer away. What counts is the longest silence of late, whichever stream it was in.
 */
export class LinkGaps {
  readonly #clock: () => number;
  /** The one that was noted last comes last. */
  readonly #peaks = new Map<string, Peak>();

  /** Makes one that knows nothing. The clock is monotonic, in milliseconds. */
  constructor({ clock = () => performance.now() }: { clock?: () => number } = {}) {
    this.#clock = clock;
  }

  /** The silences of one. */
  of(key: string): LinkGap {
    const slowest = () => this.#slowestMs(key);
    return {
      get slowestMs() {
        return slowest();
      },
      note: (ms) => {
        if (ms >= LEAST_MS && ms < Infinity) this.#note(key, ms);
      },
    };
  }

  #slowestMs(key: string): number {
    const peak = this.#peaks.get(key);
    return peak === undefined ? 0 : peak.ms * 2 ** (-Math.max(0, this.#clock() - peak.at) / HALF_LIFE_MS);
  }

  #note(key: string, ms: number): void {
    if (ms <= this.#slowestMs(key)) return;
    this.#peaks.delete(key);
    this.#peaks.set(key, { ms, at: this.#clock() });
    const [oldest] = this.#peaks.keys();
    if (this.#peaks.size > MOST && oldest !== undefined) this.#peaks.delete(oldest);
  }
}
