/** A request that waits, as the decision sees it. */
export interface WaitingRequest {
  /** Which model file. */
  readonly key: string;
}

/** A model in memory, or on its way in or out, as the decision sees it. */
export interface ResidentModel {
  /** Which model file. */
  readonly key: string;
  /** `loading` and `leaving` take memory as `ready` does. */
  readonly phase: "loading" | "ready" | "leaving";
  /** Whether its slot is taken. */
  readonly busy: boolean;
  /** When it was used last; only the order counts. */
  readonly lastUsed: number;
}

/** What to do next: give a slot to a waiting request, load its model, or make room. */
export type Step =
  | { kind: "start"; index: number }
  | { kind: "load"; index: number }
  | { kind: "evict"; key: string };

/**
 * Decides the next step, or null where all must wait. A request waits for its model only: one that can run runs, though
 * others wait before it. Room is made in the order of the queue, from the model that was used least recently; one that
 * a request before in the queue can use is never sent away, since that request would have been started.
 */
export function nextStep(
  waiting: readonly WaitingRequest[],
  residents: readonly ResidentModel[],
  { maxLoaded }: { maxLoaded: number },
): Step | null {
  const wanted = new Set<string>();
  for (const [index, { key }] of waiting.entries()) {
    const resident = residents.find((each) => each.key === key && each.phase !== "leaving");
    if (resident?.phase === "ready" && !resident.busy) return { kind: "start", index };
    if (resident !== undefined || wanted.has(key)) continue;
    if (residents.length < maxLoaded) return { kind: "load", index };
    wanted.add(key);
    const leaving = residents.filter(({ phase }) => phase === "leaving").length;
    if (leaving >= wanted.size) continue;
    const [idle] = residents.filter(({ phase, busy }) => phase === "ready" && !busy)
      .sort((a, b) => a.lastUsed - b.lastUsed);
    if (idle !== undefined) return { kind: "evict", key: idle.key };
  }
  return null;
}
