/** What is known of one that could answer. */
export interface Candidate {
  /** Name for people. */
  readonly name: string;
  /** Whether it is this node itself. */
  readonly local: boolean;
  /** Whether the model is in its memory now. */
  readonly loaded: boolean;
  /** Requests of ours that it is answering. */
  readonly inFlight: number;
  /** Requests of ours that it answers at once. */
  readonly slots: number;
  /** Measured round trip in milliseconds; 0 for this node, infinite where it is not known. */
  readonly roundTripMs: number;
}

/**
 * Orders candidates, best first; pure and stable. This node before any other (nothing leaves the house without need),
 * then those with a free slot, then warm before cold, then fewer requests in flight, then the nearest.
 */
export function rank<T extends Candidate>(candidates: readonly T[]): T[] {
  return [...candidates].sort((a, b) =>
    Number(b.local) - Number(a.local) ||
    Number(a.inFlight >= a.slots) - Number(b.inFlight >= b.slots) ||
    Number(b.loaded) - Number(a.loaded) ||
    a.inFlight - b.inFlight ||
    // Not a difference: that of two infinite round trips is no number.
    Number(a.roundTripMs > b.roundTripMs) - Number(a.roundTripMs < b.roundTripMs)
  );
}
