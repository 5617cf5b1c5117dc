import { randomBytes } from "node:crypto";
import { type NodeId, shortId } from "@ark/node/identity";
import type { PairingSide, PairingState } from "@ark/node/protocol";
import type { PeerAddress } from "@ark/node/transport";
import { decided, heard, isOpen, type PairingAct, type PairingEnd, type PairingPhase, phaseOf } from "./pairing.ts";
import type { PairingWords } from "./words.ts";

/** A pairing as the owner sees it. */
export interface PairingView {
  /** Names it in this node. */
  readonly session: string;
  /** The other node. */
  readonly id: NodeId;
  /** `out`: this node began; `in`: the other one did. */
  readonly direction: "in" | "out";
  /** Where the other node is, or null. */
  readonly address: PeerAddress | null;
  /** When it began, RFC 3339. */
  readonly startedAt: string;
  /** Milliseconds that are left for what is to be done now; 0 when it is over. */
  readonly leftMs: number;
  /** Where it stands. */
  readonly phase: PairingPhase;
  /** What this node's owner decided. */
  readonly mine: PairingSide;
  /** What the other owner decided. */
  readonly theirs: PairingSide;
  /** What both screens show, or null while it is not known. */
  readonly words: PairingWords | null;
  /** Label of the other node; known when both owners said that the words match. */
  readonly name: string | null;
  /** Why it failed, as a sentence, or null. */
  readonly reason: string | null;
}

/** Times of a pairing, in milliseconds. */
export interface PairingTimes {
  /** For the exchange of the random numbers. @default {10000} */
  openMs: number;
  /** For the owners to compare. @default {300000} */
  compareMs: number;
  /** For the owners to choose what the other node may do. @default {300000} */
  chooseMs: number;
  /** After so much silence the other node counts as gone. @default {15000} */
  silenceMs: number;
  /** Between two messages of the node that began. @default {400} */
  pollMs: number;
  /** How long one that is over is still shown. @default {300000} */
  keepMs: number;
}

/** The times of a real node. */
export const PAIRING_TIMES: Readonly<PairingTimes> = {
  openMs: 10_000,
  compareMs: 300_000,
  chooseMs: 300_000,
  silenceMs: 15_000,
  pollMs: 400,
  keepMs: 300_000,
};

/** What a new {@linkcode PairingCard} is about. */
export interface PairingCardOptions {
  /** The other node. */
  id: NodeId;
  /** Who began. */
  direction: "in" | "out";
  /** Where the other node is. */
  address: PeerAddress | null;
  /** What both nodes call it on the wire. */
  wire?: string;
  /** Host that the other node calls from; empty for one that this node began. */
  source?: string;
  /** Times. */
  times: PairingTimes;
  /** Monotonic time in milliseconds. */
  now(): number;
}

/** One pairing: what is known of it, and which steps are legal. Time and messages come from outside. */
export class PairingCard {
  /** Names it in this node. */
  readonly session: string = randomBytes(16).toString("hex");
  /** Names it on the wire. */
  readonly wire: string;
  /** The other node. */
  readonly id: NodeId;
  /** Who began. */
  readonly direction: "in" | "out";
  /** Where the other node is. */
  readonly address: PeerAddress | null;
  /** Host that the other node called from. */
  readonly source: string;
  /** What the other node committed to, hex; empty for one that this node began. */
  commitment = "";
  /** Random number of this node. */
  readonly nonce: Uint8Array<ArrayBuffer> = Uint8Array.from(randomBytes(32));
  /** Called when there is something to tell the other side at once. */
  wake: () => void = () => {};
  readonly #startedAt = new Date().toISOString();
  readonly #times: PairingTimes;
  readonly #now: () => number;
  #words: PairingWords | null = null;
  #mine: PairingSide = "waiting";
  #theirs: PairingSide = "waiting";
  #ended: PairingEnd | null = null;
  #reason: string | null = null;
  #name: string | null = null;
  #nameless = 0;
  #deadline: number;
  #heardAt: number;
  #overAt: number | null = null;

  /** Makes a pairing that has just begun. */
  constructor({ id, direction, address, wire, source = "", times, now }: PairingCardOptions) {
    this.id = id;
    this.direction = direction;
    this.address = address;
    this.wire = wire ?? randomBytes(16).toString("hex");
    this.source = source;
    this.#times = times;
    this.#now = now;
    this.#heardAt = now();
    this.#deadline = now() + times.openMs;
  }

  /** Where it stands. */
  get phase(): PairingPhase {
    return phaseOf(this.#sides);
  }

  /** Whether it can go on. */
  get open(): boolean {
    return isOpen(this.phase);
  }

  /** What this side's owner decided. */
  get mine(): PairingSide {
    return this.#mine;
  }

  /** Whether this node's owner took part in it, by beginning it or by an answer. */
  get ownersAct(): boolean {
    return this.direction === "out" || this.#mine !== "waiting";
  }

  /** When it was over, monotonic, or null. */
  get overAt(): number | null {
    return this.#overAt;
  }

  /** The words, once they are known. */
  get words(): PairingWords | null {
    return this.#words;
  }

  /** Shows the words; from now on the owners have their time. Words that are shown stay. */
  show(words: PairingWords): void {
    if (this.#words !== null || !this.open) return;
    this.#words = words;
    this.#deadline = this.#now() + this.#times.compareMs;
    this.#heardAt = this.#now();
  }

  /** Does what the owner decided; false when that is not possible now. */
  decide(act: PairingAct): boolean {
    const before = this.phase;
    const side = decided(act, this.#sides);
    if (side === null) return false;
    this.#mine = side;
    this.#moved(before);
    this.wake();
    return true;
  }

  /** Takes in how the other side stands; whether that is news. */
  hear({ state, name }: PairingState): boolean {
    const [phase, theirs, known] = [this.phase, this.#theirs, this.#name];
    this.#heardAt = this.#now();
    this.#theirs = heard(state, this.#sides);
    // The first name stays: it is what the owner sees when he decides. It comes with the second message at the latest.
    if (this.#agreed && (name !== undefined || ++this.#nameless > 2)) this.#name ??= name ?? `ark ${shortId(this.id)}`;
    this.#moved(phase);
    return this.#theirs !== theirs || this.#name !== known;
  }

  /** How this side stands, as the other one is told: the name only when both owners said that the words match. */
  state(ownName: string): PairingState {
    const phase = this.phase;
    // What ended for another reason than the owner's word is cancelled for the other side.
    const state = isOpen(phase) || phase === "connected" || this.#mine === "different" || this.#mine === "approved"
      ? this.#mine
      : "cancelled";
    return { state, ...(this.#agreed ? { name: ownName } : {}) };
  }

  /** Ends it, with a sentence for the owner. */
  end(how: PairingEnd, reason: string): void {
    const before = this.phase;
    if (!isOpen(before)) return;
    this.#ended = how;
    this.#reason = reason;
    this.#moved(before);
    this.wake();
  }

  /** Ends it where its time is over or the other node is silent; whether something changed. */
  tick(): boolean {
    const now = this.#now();
    const phase = this.phase;
    if (!isOpen(phase)) return false;
    if (now >= this.#deadline) {
      if (phase === "opening") this.end("failed", "The other node did not finish what it began");
      else this.end("expired", "Nobody decided in time: begin anew when both owners are there");
    } else if (now - this.#heardAt >= this.#times.silenceMs) {
      this.end("failed", "The other node does not answer any more: it was stopped, or the network between is down");
    }
    return this.phase !== phase;
  }

  /** A snapshot for the owner. */
  view(): PairingView {
    return {
      session: this.session,
      id: this.id,
      direction: this.direction,
      address: this.address,
      startedAt: this.#startedAt,
      leftMs: this.open ? Math.max(0, Math.round(this.#deadline - this.#now())) : 0,
      phase: this.phase,
      mine: this.#mine,
      theirs: this.#theirs,
      words: this.#words,
      name: this.#name,
      reason: this.#reason,
    };
  }

  get #sides() {
    return { shown: this.#words !== null, mine: this.#mine, theirs: this.#theirs, ended: this.#ended };
  }

  get #agreed(): boolean {
    const agreed = (side: PairingSide) => side === "matched" || side === "approved";
    return agreed(this.#mine) && agreed(this.#theirs);
  }

  #moved(before: PairingPhase): void {
    const after = this.phase;
    if (before === after) return;
    if (after === "choosing") this.#deadline = this.#now() + this.#times.chooseMs;
    if (!isOpen(after)) this.#overAt = this.#now();
  }
}
