import type { LinkGap } from "./link_gaps.ts";

/** Shortest and longest silence of a running answer that is taken for a stall, in milliseconds. */
const LEAST_MS = 750;
const MOST_MS = 3_000;
/**
 * So many times the longest silence of late on the same link is no stall yet. It counts up to a time within which an answer
 * that is really lost is gone on with in two seconds.
 */
const SLOWEST_FACTOR = 2;
const MOST_FOR_SLOWEST_MS = 1_600;
/** The smoothing of TCP's round trips. */
const MEAN_WEIGHT = 1 / 8;
const DEVIATION_WEIGHT = 1 / 4;

/** How it is known that a running answer has stalled: by the rule, after a fixed time in milliseconds, or never. */
export type StallSetting = "auto" | "off" | number;

/** Options of {@linkcode StallRule}. */
export interface StallRuleOptions {
  /** Which rule. @default {"auto"} */
  setting?: StallSetting;
  /** What is known of earlier answers, in milliseconds. */
  prior?: { meanMs: number; deviationMs: number };
  /** What is known of the link; absent: nothing. */
  link?: LinkGap;
  /** Never less than this, in milliseconds; a fixed time is as it was set. @default {750} */
  leastMs?: number;
}

/**
 * Which silence of a running answer is a stall: `clamp(8 x mean + 4 x mean deviation, 0.75 s, 3 s)` of the time between
 * two events, smoothed with 1/8 and 1/4, and no less than twice the longest silence of late on the same link, up to 1.6 s. As
 * long as nothing is known it is the longest. Only time in which this node waited counts, so that a slow reader of ours
 * changes nothing.
 */
export class StallRule {
  readonly #setting: StallSetting;
  readonly #leastMs: number;
  readonly #link: LinkGap | null;
  #mean: number | null;
  #deviation: number;

  /** Begins with what is known of earlier answers. */
  constructor({ setting = "auto", prior, link, leastMs = LEAST_MS }: StallRuleOptions = {}) {
    this.#setting = setting;
    this.#leastMs = leastMs;
    this.#link = link ?? null;
    this.#mean = prior?.meanMs ?? null;
    this.#deviation = prior?.deviationMs ?? 0;
  }

  /** Takes note of how long the next event was waited for, in milliseconds. */
  note(ms: number): void {
    this.#link?.note(ms);
    if (this.#mean === null) {
      this.#mean = ms;
      this.#deviation = ms / 2;
      return;
    }
    const off = ms - this.#mean;
    this.#mean += off * MEAN_WEIGHT;
    this.#deviation += (Math.abs(off) - this.#deviation) * DEVIATION_WEIGHT;
  }

  /** Silence that is a stall, in milliseconds; infinite where nothing is. */
  get thresholdMs(): number {
    if (this.#setting === "off") return Infinity;
    if (this.#setting !== "auto") return this.#setting;
    if (this.#mean === null) return MOST_MS;
    const slowest = this.#link === null ? 0 : Math.min(MOST_FOR_SLOWEST_MS, SLOWEST_FACTOR * this.#link.slowestMs);
    return Math.min(MOST_MS, Math.max(this.#leastMs, slowest, 8 * this.#mean + 4 * this.#deviation));
  }
}
