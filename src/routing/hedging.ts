/**
 * Whether a second node is asked beside one that is slow to begin.
 *
 * | setting | meaning |
 * |---|---|
 * | `off` | never: no prompt is read twice without a failure |
 * | `p95` | when the first token is later than 95 of 100 were, as far as {@linkcode HedgeBudget} allows it |
 * | `{ race: N }` | N nodes at once from the beginning, always; the fastest one answers and the others are stopped |
 */
export type HedgeSetting = "off" | "p95" | { readonly race: number };

/** Part of the requests that may be hedged in the long run. */
const SHARE = 0.05;
/** Most that can be saved up: with {@linkcode SHARE} it is no more than 10 of any 100 requests in a row. */
const MOST = 5;
/** Part of the slots in use above which nobody gets a second one. */
const BUSY = 0.8;

/** A bucket of tokens: each request brings 1/20, each extra prompt that is read takes one. */
export class HedgeBudget {
  #tokens = 1;

  /** A request came. */
  asked(): void {
    this.#tokens = Math.min(MOST, this.#tokens + SHARE);
  }

  /** Takes a token where there is one and the candidates are not too busy. */
  take(candidates: readonly { inFlight: number; queued: number; slots: number }[]): boolean {
    if (utilisation(candidates) > BUSY || this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/** Part of the slots that are taken; 1 where there are none. */
function utilisation(candidates: readonly { inFlight: number; queued: number; slots: number }[]): number {
  let taken = 0;
  let slots = 0;
  for (const candidate of candidates) {
    taken += candidate.inFlight + candidate.queued;
    slots += candidate.slots;
  }
  return slots === 0 ? 1 : taken / slots;
}

/** A first token is never hedged earlier than this, in milliseconds: nobody would notice. */
const LEAST_DELAY_MS = 100;
/** Where too few first tokens were seen: so many times what is expected, and at least this long, in milliseconds. */
const UNKNOWN_FACTOR = 3;
const UNKNOWN_LEAST_MS = 1_000;

/** After how long without a first token a second one is asked, in milliseconds. */
export function hedgeDelayMs(
  { p95Ms, expectedMs, loadMs }: { p95Ms: number | null; expectedMs: number; loadMs: number },
): number {
  // What has to be loaded first is as late as that, whatever was seen of it while it was warm.
  const usual = p95Ms ?? Math.max(UNKNOWN_LEAST_MS, UNKNOWN_FACTOR * expectedMs);
  return Math.max(LEAST_DELAY_MS, usual + loadMs);
}
