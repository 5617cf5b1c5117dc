/** A request that waits, as the decision sees it. */
export interface WaitingRequest {
  /** Which model file, and for what. */
  readonly key: string;
  /** Who asks. */
  readonly priority: "owner" | "peer";
  /** Memory that its model would like to have, in bytes. */
  readonly bytes: number;
  /** Memory without which its model cannot be loaded at all, in bytes. */
  readonly leastBytes: number;
  /** Whether the model is only to be loaded: then it takes no slot. */
  readonly loadOnly: boolean;
  /** Whether it is an answer that was set aside: it waits for room, however long the owner keeps it. */
  readonly aside: boolean;
  /** Whether it has waited for room so long that those behind it may not keep its place busy any longer. */
  readonly impatient: boolean;
}

/** A model in memory, or on its way in or out, as the decision sees it. */
export interface ResidentModel {
  /** Which model file, and for what. */
  readonly key: string;
  /** `loading` and `leaving` take memory as `ready` does. */
  readonly phase: "loading" | "ready" | "leaving";
  /** Answers that it can write at once. */
  readonly slots: number;
  /** Answers that it writes for the owner. */
  readonly owners: number;
  /** Answers that it writes for peers, without those that were told to make room. */
  readonly peers: number;
  /** Answers for peers that were told to make room and have not ended yet. */
  readonly yielding: number;
  /** When it was used last; only the order counts. */
  readonly lastUsed: number;
  /** Whether it never leaves. */
  readonly pinned: boolean;
  /** Whether the owner used it so lately that no peer may send it away. */
  readonly kept: boolean;
  /** Memory that it takes, in bytes. */
  readonly bytes: number;
}

/** How many models there may be at once, and how much memory they may take. */
export interface Room {
  /** Models. */
  readonly maxLoaded: number;
  /** Bytes. */
  readonly bytes: number;
}

/**
 * What to do next: give a slot to a waiting request, load its model, send a model away, set one of the peers' answers
 * aside, or refuse a request: `unfit` where its model has no room beside the pinned ones, `kept` where a peer's would need
 * the room of one that the owner keeps.
 */
export type Step =
  | { kind: "start"; index: number }
  | { kind: "load"; index: number }
  | { kind: "evict"; key: string }
  | { kind: "aside"; key: string }
  | { kind: "refuse"; index: number; why: "unfit" | "kept" };

/**
 * Decides the next step, or null where all must wait.
 *
 * - The line is in order: the owner's requests first. A request waits for its model only: one that can run runs, though
 *   others wait before it.
 * - Peers never take the last slot of a model that has two or more. Where all are taken, an answer for a peer is set aside
 *   for each request of the owner that waits; so it is where the owner needs the memory of a model that only peers use.
 * - Room is made in the order of the line, after those are served who wait for what is there, from models that the owner does not keep, then by when they were used last. A
 *   pinned one never leaves, one at work for the owner neither, and for a peer none that the owner keeps.
 * - Nobody starts on a model that one before in the line waits to see leave.
 */
export function nextStep(
  waiting: readonly WaitingRequest[],
  residents: readonly ResidentModel[],
  room: Room,
): Step | null {
  const plan = new Plan(waiting, { residents, room });
  for (const [index, request] of waiting.entries()) {
    const resident = residents.find(({ key, phase }) => key === request.key && phase !== "leaving");
    const step = resident === undefined ? plan.memoryFor(request, index) : plan.slotOf(resident, { request, index });
    if (step !== null) return step;
  }
  return null;
}

/** What the requests before in the line wait for. */
class Plan {
  readonly #waiting: readonly WaitingRequest[];
  readonly #residents: readonly ResidentModel[];
  readonly #room: Room;
  /** Models that are to leave as soon as they are idle. */
  readonly #closed = new Set<string>();
  /** Models on which no peer starts: the owner waits until others of the owner's requests have ended there. */
  readonly #closedToPeers = new Set<string>();
  /** Models that one before waits for. */
  readonly #wanted = new Set<string>();
  /** Requests of the owner that wait for a slot, by model. */
  readonly #claims = new Map<string, number>();
  /** Bytes that the wanted ones will take. */
  #promised = 0;

  constructor(
    waiting: readonly WaitingRequest[],
    { residents, room }: { residents: readonly ResidentModel[]; room: Room },
  ) {
    this.#waiting = waiting;
    this.#residents = residents;
    this.#room = room;
  }

  slotOf(resident: ResidentModel, { request, index }: { request: WaitingRequest; index: number }): Step | null {
    if (resident.phase === "loading" || this.#closed.has(resident.key)) return null;
    if (request.priority === "peer" && this.#closedToPeers.has(resident.key)) return null;
    if (request.loadOnly || hasSlot(resident, request)) return { kind: "start", index };
    if (request.priority === "peer") return null;
    const before = this.#claims.get(resident.key) ?? 0;
    this.#claims.set(resident.key, before + 1);
    return resident.yielding <= before && resident.peers > 0 ? { kind: "aside", key: resident.key } : null;
  }

  memoryFor(request: WaitingRequest, index: number): Step | null {
    const { key, bytes, leastBytes, priority } = request;
    if (this.#wanted.has(key)) return null;
    const fixed = this.#residents.filter(({ pinned, phase }) => pinned && phase !== "leaving");
    if (!this.#fits(fixed, leastBytes)) return { kind: "refuse", index, why: "unfit" };
    const stay = this.#residents.filter((each) => staysFor(each, request));
    if (priority === "peer" && !this.#fits(stay, leastBytes)) {
      return request.aside ? null : { kind: "refuse", index, why: "kept" };
    }
    if (this.#fitsWithWanted(this.#residents, bytes)) return { kind: "load", index };
    const remaining = this.#residents.filter((each) => each.phase !== "leaving" && !this.#closed.has(each.key));
    const step = this.#fitsWithWanted(remaining, bytes) ? null : this.#makeRoom(request, { remaining, index });
    if (step !== null) return step;
    this.#wanted.add(key);
    this.#promised += bytes;
    return null;
  }

  #makeRoom(request: WaitingRequest, { remaining, index }: { remaining: ResidentModel[]; index: number }): Step | null {
    const movable = remaining.filter((each) => !staysFor(each, request)).sort(byWorth);
    const idle = movable.find((each) => this.#mayLeaveNow(each, request));
    if (idle !== undefined) return { kind: "evict", key: idle.key };
    // With less memory than it would like, rather than never.
    if (movable.length === 0 && this.#fitsWithWanted(this.#residents, request.leastBytes)) {
      return { kind: "load", index };
    }
    const ready = movable.filter((each) => each.phase === "ready" && !isIdle(each));
    const victim = request.priority === "owner" ? ready.find(({ owners }) => owners === 0) : undefined;
    const closed = victim ?? ready[0];
    if (closed === undefined) return null;
    if (victim !== undefined || request.impatient) this.#closed.add(closed.key);
    else if (request.priority === "owner") this.#closedToPeers.add(closed.key);
    return victim !== undefined && victim.peers > 0 ? { kind: "aside", key: victim.key } : null;
  }

  /**
   * One that others of the same standing wait for serves them before, as long as nobody loses patience: else two models
   * would send each other away for every request. One that is being loaded for peers leaves for the owner alone.
   */
  #mayLeaveNow(resident: ResidentModel, { priority, impatient }: WaitingRequest): boolean {
    if (!isIdle(resident)) return false;
    if (resident.phase === "loading") return priority === "owner" && !resident.kept;
    const others = this.#waiting.filter(({ key }) => key === resident.key);
    return impatient || others.every((each) => each.priority === "peer" && priority === "owner");
  }

  #fits(residents: readonly ResidentModel[], bytes: number): boolean {
    return residents.length < this.#room.maxLoaded && sum(residents) + bytes <= this.#room.bytes;
  }

  #fitsWithWanted(residents: readonly ResidentModel[], bytes: number): boolean {
    return residents.length + this.#wanted.size < this.#room.maxLoaded &&
      sum(residents) + this.#promised + bytes <= this.#room.bytes;
  }
}

/** Most answers for peers that a model writes at once: the last slot is the owner's. */
export function peerSlots(slots: number): number {
  return Math.max(1, slots - 1);
}

function hasSlot({ slots, owners, peers, yielding }: ResidentModel, { priority }: WaitingRequest): boolean {
  if (owners + peers + yielding >= slots) return false;
  return priority === "owner" || peers + yielding < peerSlots(slots);
}

function isIdle({ owners, peers, yielding }: ResidentModel): boolean {
  return owners + peers + yielding === 0;
}

/** Whether a model does not leave for a request, now or later. */
function staysFor({ phase, pinned, kept, owners }: ResidentModel, { priority }: WaitingRequest): boolean {
  if (phase === "leaving") return false;
  return pinned || (priority === "peer" && (kept || owners > 0));
}

/** What the owner does not keep leaves first, then what was not used for longest. */
function byWorth(a: ResidentModel, b: ResidentModel): number {
  return Number(a.kept) - Number(b.kept) || a.lastUsed - b.lastUsed;
}

function sum(residents: readonly ResidentModel[]): number {
  return residents.reduce((bytes, each) => bytes + each.bytes, 0);
}
