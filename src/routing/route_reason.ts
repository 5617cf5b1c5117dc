import { type Candidate, type Demand, estimateMs } from "./rank.ts";

/** How a candidate came to be the one that answers. */
export interface ChosenAs {
  /** How many had been tried before in vain. */
  attempt: number;
  /** All candidates, in the order of `rank()`. */
  among: readonly Candidate[];
  /** What `rank()` reckoned with; absent: the reason has no numbers. */
  demand?: Demand;
}

/** Why a candidate was chosen, with its numbers, in a few words for a header; without names, and pure. */
export function routeReason(
  chosen: Candidate & { upstream?: boolean },
  { attempt, among, demand }: ChosenAs,
): string {
  const where = chosen.upstream === true ? "upstream" : chosen.local ? "local" : "peer";
  const numbers = demand === undefined ? "" : numbersOf(chosen, demand);
  if (attempt > 0) return `${where}: ${attempt} before it could not answer${numbers}`;
  if (among.length < 2) return `${where}: only this one within reach has the model${numbers}`;
  const rest = demand === undefined ? [] : among.filter((one) => one !== chosen);
  const next = rest.length === 0 || demand === undefined
    ? ""
    : `, next ${seconds(Math.min(...rest.map((one) => estimateMs(one, demand))))}`;
  return `${where}: best of ${among.length}${numbers}${next}`;
}

/** What the estimate is made of. */
function numbersOf(chosen: Candidate, demand: Demand): string {
  const { queued, loaded, promptRate, generationRate } = chosen;
  const cached = demand.cachedTokens?.(chosen.key) ?? 0;
  return [
    promptRate === null && generationRate === null
      ? ", not measured yet"
      : `, about ${seconds(estimateMs(chosen, demand))}`,
    loaded ? "" : ", to be loaded",
    queued > 0 ? `, ${count(queued)} waiting` : "",
    promptRate === null ? "" : `, reads ${count(promptRate)}/s`,
    generationRate === null ? "" : `, writes ${count(generationRate)}/s`,
    cached > 0 ? `, ${count(cached)} tokens cached` : "",
  ].join("");
}

function seconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1_000).toFixed(1)} s` : `${count(ms / 1_000)} s`;
}

/** A number in few characters, whatever it is. */
function count(value: number): string {
  return value >= 0 && value < 10 && !Number.isInteger(value)
    ? value.toFixed(1)
    : String(Math.max(0, Math.min(1e9, Math.round(value))));
}
