import type { RoutingState } from "./asker.ts";
import type { Choice } from "./choices.ts";
import type { FirstTokenOptions } from "./first_token_options.ts";
import { hedgeDelayMs } from "./hedging.ts";
import { type Demand, estimateMs } from "./rank.ts";

/** Where it is not known how long a model takes to load, in milliseconds. */
const UNKNOWN_LOAD_MS = 10_000;

/** When a second one is asked beside the first, and who, by what was seen of them; nothing where that is not `p95`. */
export function hedgeRules(
  { hedge, budget, breakers, observations }: RoutingState,
  { reading, among }: { reading: Demand; among: readonly Choice[] },
): Pick<FirstTokenOptions, "hedge" | "hedgeMs"> {
  if (hedge !== "p95") return {};
  return {
    hedgeMs: (choice) =>
      hedgeDelayMs({
        p95Ms: observations.of(choice.key, choice.model).firstTokenP95Ms,
        expectedMs: estimateMs(choice, reading),
        loadMs: choice.loaded ? 0 : choice.loadMs ?? UNKNOWN_LOAD_MS,
      }),
    hedge: (line) => {
      const found = line.find((one) =>
        one.loaded && one.inFlight < one.slots && breakers.state(one.key, one.model) === "closed"
      );
      return found !== undefined && budget.take(among) ? found : undefined;
    },
  };
}
