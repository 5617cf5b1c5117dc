import type { UseReading } from "./use_detector.ts";

/** How long something must last before it counts, in milliseconds. */
export interface YieldTimes {
  /** Use, before the node yields. */
  usedMs: number;
  /** Calm, before it shares again. */
  calmMs: number;
}

/** A short look at another window is no use, and a loading screen is no end of a game. */
export const YIELD_TIMES: YieldTimes = { usedMs: 10_000, calmMs: 60_000 };

/** Where a use cannot be seen any more, it is held to go on for so many times the calm. */
const BLIND_FACTOR = 10;

/** Makes something steady of single looks, so that a node does not come and go. */
export class SteadyUse {
  readonly #times: YieldTimes;
  #usedSince: number | null = null;
  #calmSince: number | null = null;
  #blindSince: number | null = null;
  #sentence: string | null = null;

  /** Has seen nothing yet. */
  constructor(times: Partial<YieldTimes> = {}) {
    this.#times = { ...YIELD_TIMES, ...times };
  }

  /** How the machine is used, as a sentence, or null. */
  get sentence(): string | null {
    return this.#sentence;
  }

  /** Takes a reading, with the monotonic time in milliseconds. */
  note(reading: UseReading, ms: number): void {
    const { usedMs, calmMs } = this.#times;
    if (reading.kind === "cannot_tell") {
      this.#blindSince ??= ms;
      // A tool that hangs while a game runs has not seen it end; one that is gone for good will see nothing any more.
      if (ms - this.#blindSince >= calmMs * BLIND_FACTOR) this.#forget();
      return;
    }
    this.#blindSince = null;
    if (reading.kind === "used") {
      this.#calmSince = null;
      this.#usedSince ??= ms;
      if (this.#sentence !== null || ms - this.#usedSince >= usedMs) this.#sentence = reading.sentence;
      return;
    }
    this.#usedSince = null;
    this.#calmSince ??= ms;
    if (ms - this.#calmSince >= calmMs) this.#sentence = null;
  }

  #forget(): void {
    this.#usedSince = null;
    this.#sentence = null;
  }
}
