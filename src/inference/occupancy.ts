import { peerSlots, type ResidentModel } from "./schedule.ts";

/** How much room one model has for the work of peers. */
export interface ModelOccupancy {
  /** Requests of peers that it answers at once. */
  readonly slots: number;
  /** Requests of peers that would begin at once. */
  readonly free: number;
  /** Requests that wait for it, the owner's included. */
  readonly queued: number;
}

/** How busy the engine of a node is, as far as peers are concerned. */
export interface Occupancy {
  /** Whether work of peers waits until the owner's own is done. */
  readonly ownersTurn: boolean;
  /** Requests of peers that a model answers at once which is not in memory, by a guess. */
  readonly coldSlots: number;
  /** The models that are in memory, or that somebody waits for, by their ids. */
  readonly models: ReadonlyMap<string, ModelOccupancy>;
}

/** What {@linkcode occupancyOf} looks at. */
export interface Occupied {
  /** The models in memory and on their way, with their ids. */
  residents: readonly { model: { id: string }; state: ResidentModel }[];
  /** Who waits, and for which model. */
  waiting: readonly { model: { id: string }; priority: "owner" | "peer" }[];
  /** Answers that a model writes at once which is not in memory. */
  coldSlots: number;
}

/** Says how busy an engine is. Pure. */
export function occupancyOf({ residents, waiting, coldSlots }: Occupied): Occupancy {
  const lines = new Map<string, { all: number; owners: number }>();
  for (const { model: { id }, priority } of waiting) {
    const line = lines.get(id) ?? { all: 0, owners: 0 };
    line.all++;
    if (priority === "owner") line.owners++;
    lines.set(id, line);
  }
  const models = new Map<string, ModelOccupancy>();
  const cold = peerSlots(coldSlots);
  for (const [id, { all, owners }] of lines) {
    models.set(id, { slots: cold, free: owners > 0 ? 0 : Math.max(0, cold - all), queued: all });
  }
  const there = residents.filter(({ state }) => state.phase !== "leaving");
  // What is in memory for two tasks is told as it is for the one with more room.
  for (const { model: { id }, state } of there.toSorted((a, b) => freeFor(a.state) - freeFor(b.state))) {
    const { all, owners } = lines.get(id) ?? { all: 0, owners: 0 };
    const free = owners > 0 ? 0 : Math.max(0, freeFor(state) - all);
    models.set(id, { slots: peerSlots(state.slots), free, queued: all });
  }
  const waits = waiting.some(({ priority }) => priority === "owner");
  const works = there.some(({ state }) => state.owners > 0) && there.every(({ state }) => freeFor(state) === 0);
  return { ownersTurn: waits || works, coldSlots: cold, models };
}

/** Requests of peers that a model in memory would begin at once, were nobody waiting. */
export function freeFor({ slots, owners, peers, yielding }: ResidentModel): number {
  return Math.max(0, Math.min(slots - owners - peers - yielding, peerSlots(slots) - peers - yielding));
}
