import type { Observed } from "./observations.ts";
import { UNKNOWN_GENERATION_RATE, UNKNOWN_PROMPT_RATE } from "./rank.ts";

/** What a node claims of itself for a model. Absent and null: it does not say. */
export interface Claim {
  /** Tokens of a prompt that it reads in a second. */
  readonly promptRate?: number | null;
  /** Tokens of one answer that it writes in a second. */
  readonly generationRate?: number | null;
}

/** The speeds to reckon with. */
export interface Rates {
  /** Tokens of a prompt in a second, or null where nothing is known. */
  readonly promptRate: number | null;
  /** Tokens of one answer in a second, or null where nothing is known. */
  readonly generationRate: number | null;
}

/** Where and how much a node claims to have to do. */
export interface ClaimedLoad {
  /** Requests that it would begin at once. */
  readonly free: number;
  /** Requests that wait. */
  readonly queued: number;
}

/** No machine is believed to be faster, in tokens a second. */
const FASTEST_PROMPT = 50_000;
const FASTEST_GENERATION = 1_000;
/** Half of the trust in one's own observation is gone after so long without an answer, in milliseconds. */
const HALF_LIFE_MS = 60_000;

/**
 * The speeds to reckon with: what was observed, and the more the older that is, what the node claims, as far as it is
 * honest. So a node that was slow is asked again some time after it says that it is not any more, and one that boasts is
 * found out by its first answer.
 */
export function expectedRates(observed: Observed, claim: Claim, honesty: number): Rates {
  const weight = observed.samples === 0 ? 0 : 2 ** (-observed.ageMs / HALF_LIFE_MS);
  return {
    promptRate: between(observed.promptRate, believed(claim.promptRate, honesty, FASTEST_PROMPT), {
      weight,
      unknown: UNKNOWN_PROMPT_RATE,
    }),
    generationRate: between(observed.generationRate, believed(claim.generationRate, honesty, FASTEST_GENERATION), {
      weight,
      unknown: UNKNOWN_GENERATION_RATE,
    }),
  };
}

/** What a node has to do now, when so many requests were sent to it since it claimed its load. */
export function loadSince({ free, queued }: ClaimedLoad, sent: number): ClaimedLoad {
  return { free: Math.max(0, free - sent), queued: queued + Math.max(0, sent - free) };
}

/** A claim in bounds, or null where it is none. */
function believed(claimed: number | null | undefined, honesty: number, fastest: number): number | null {
  return typeof claimed === "number" && claimed > 0 ? Math.min(claimed, fastest) * honesty : null;
}

/** The mean of two speeds by their logarithms: what is 10 times slower counts as much as what is 10 times faster. */
function between(
  observed: number | null,
  claimed: number | null,
  { weight, unknown }: { weight: number; unknown: number },
): number | null {
  if (observed === null) return claimed;
  return observed ** weight * (claimed ?? unknown) ** (1 - weight);
}
