import type { Choice } from "./choices.ts";
import { type Demand, estimateMs } from "./rank.ts";

/** Least time for a first part, for one that has the model in memory and for one that has not, in milliseconds. */
const LEAST_WARM_MS = 5_000;
const LEAST_COLD_MS = 60_000;
const LONGEST_MS = 600_000;
/** So many times what is expected. */
const PATIENCE = 4;

/**
 * How long a candidate may take to its first part before another one is asked instead: several times what is expected, and
 * long enough for a model to be loaded. When it has its turn the time begins anew, for reading alone.
 */
export function patienceMs(
  choice: Choice,
  { reading, started }: { reading: Demand; started: boolean },
): number {
  if (started) {
    const alone = { ...choice, inFlight: 0, queued: 0, free: 1, loaded: true };
    return Math.min(LONGEST_MS, Math.max(LEAST_WARM_MS, PATIENCE * estimateMs(alone, reading)));
  }
  const least = choice.loaded ? LEAST_WARM_MS : LEAST_COLD_MS;
  return Math.min(LONGEST_MS, Math.max(least, PATIENCE * estimateMs(choice, reading)));
}
