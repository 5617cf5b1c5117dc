import type { Candidate } from "@ark/node/routing";

/** A peer with the model in memory, one slot that is free, and usual speeds. */
export function someCandidate(fields: Partial<Candidate> = {}): Candidate {
  return {
    key: "peer",
    name: "peer",
    local: false,
    loaded: true,
    inFlight: 0,
    slots: 1,
    queued: 0,
    roundTripMs: 0,
    promptRate: 1_000,
    generationRate: 20,
    loadMs: 3_000,
    successRate: 1,
    ...fields,
  };
}
