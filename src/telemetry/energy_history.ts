/** What a power reading is of: a battery tells of the whole machine, counters of its parts. */
export type PowerOf = "machine" | "processor" | "gpu" | "processor_and_gpu";

/** Power and what came of it in one step of time. */
export interface EnergySample {
  /** When the step began, milliseconds since 1970. */
  at: number;
  /** Watts on the average. */
  watts: number;
  /** Joules for each token that this node's own engine wrote in that step, idle moments included; null where it wrote few. */
  joules_per_token: number | null;
}

/** What is shown of the energy. */
export interface EnergyShown {
  /** Length of a step in milliseconds. */
  step_ms: number;
  /** What the power is of. */
  of: PowerOf;
  /** Steps in which power was known, oldest first. */
  samples: EnergySample[];
}

/** Options of {@linkcode EnergyHistory}. */
export interface EnergyHistoryOptions {
  /** Length of one step in milliseconds. @default {60000} */
  stepMs?: number;
  /** Steps that are kept. @default {360} */
  steps?: number;
  /** Milliseconds since 1970. */
  now?(): number;
}

/** Fewer tokens in a step than these tell nothing of what one of them takes. */
const LEAST_TOKENS = 20;
/** Power must have been known for such a part of a step. */
const LEAST_KNOWN = 0.7;

interface Step {
  at: number;
  joules: number;
  knownMs: number;
  tokens: number;
}

/** The power of the last hours, in memory only: 6 hours in steps of a minute. Nothing where the machine never told. */
export class EnergyHistory {
  readonly #stepMs: number;
  readonly #most: number;
  readonly #now: () => number;
  readonly #steps: Step[] = [];
  #of: PowerOf | null = null;

  /** Begins empty. */
  constructor({ stepMs = 60_000, steps = 360, now = Date.now }: EnergyHistoryOptions = {}) {
    this.#stepMs = stepMs;
    this.#most = steps;
    this.#now = now;
  }

  /** Takes note of the power in the last `ms` milliseconds. What was known of other parts before is forgotten. */
  power({ watts, of, ms }: { watts: number; of: PowerOf; ms: number }): void {
    if (this.#of !== of) this.#steps.length = 0;
    this.#of = of;
    const step = this.#current();
    step.joules += watts * ms / 1_000;
    step.knownMs += ms;
  }

  /** Takes note of tokens that this node's own engine wrote now. */
  tokens(count: number): void {
    if (this.#of !== null) this.#current().tokens += count;
  }

  /** What is kept, or null where no power was ever known. */
  shown(): EnergyShown | null {
    if (this.#of === null) return null;
    const now = this.#now();
    this.#forget(now);
    const samples = this.#steps.filter(({ knownMs }) => knownMs > 0).map(({ at, joules, knownMs, tokens }) => {
      const watts = joules / (knownMs / 1_000);
      // A step that is not over, or was known in part, says nothing of its tokens.
      const isWhole = at + this.#stepMs <= now && knownMs >= LEAST_KNOWN * this.#stepMs;
      const joulesPerToken = isWhole && tokens >= LEAST_TOKENS ? watts * this.#stepMs / 1_000 / tokens : null;
      return { at, watts, joules_per_token: joulesPerToken };
    });
    return { step_ms: this.#stepMs, of: this.#of, samples };
  }

  #current(): Step {
    const now = this.#now();
    const at = Math.floor(now / this.#stepMs) * this.#stepMs;
    const last = this.#steps.at(-1);
    // A clock that was set back must not give two steps of one time.
    if (last !== undefined && last.at >= at) return last;
    const step = { at, joules: 0, knownMs: 0, tokens: 0 };
    this.#steps.push(step);
    this.#forget(now);
    return step;
  }

  #forget(now: number): void {
    const oldest = now - this.#most * this.#stepMs;
    while (this.#steps.length > this.#most || (this.#steps[0]?.at ?? Infinity) < oldest) this.#steps.shift();
  }
}
