import type { Candidate } from "./rank.ts";

/** How a candidate came to be the one that answers. */
export interface ChosenAs {
  /** How many had been tried before in vain. */
  attempt: number;
  /** All candidates, in the order of `rank()`. */
  among: readonly Candidate[];
}

/** Why a candidate was chosen, in a few words for a header; without names, and pure. */
export function routeReason(chosen: Candidate & { upstream?: boolean }, { attempt, among }: ChosenAs): string {
  const where = chosen.upstream === true ? "upstream" : chosen.local ? "local" : "peer";
  if (attempt > 0) return `${where}: ${attempt} before it could not answer`;
  if (chosen.upstream === true) return "upstream: a server that this node's owner named has the model";
  if (chosen.local) return "local: this node has the model";
  if (among.length < 2) return "peer: only this one within reach has the model";
  const others = among.filter((one) => one !== chosen);
  return `peer: of ${among.length} that have the model, this one ${distinction(chosen, others)}`;
}

/** The first of `rank()`'s rules in which it is better than all others. */
function distinction(chosen: Candidate, others: readonly Candidate[]): string {
  if (free(chosen) && !others.some(free)) return "has a free slot";
  const rivals = others.filter((one) => free(one) === free(chosen));
  if (chosen.loaded && !rivals.some(({ loaded }) => loaded)) return "has it in memory";
  const equals = rivals.filter(({ loaded }) => loaded === chosen.loaded);
  if (equals.length > 0 && equals.every(({ inFlight }) => inFlight > chosen.inFlight)) return "has the least to do";
  return "is the nearest";
}

function free({ inFlight, slots }: Candidate): boolean {
  return inFlight < slots;
}
