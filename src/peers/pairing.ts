import type { PairingSide } from "@ark/node/protocol";

/** What the owner can do with a pairing. */
export type PairingAct = "match" | "different" | "cancel" | "approve";

/** Why a pairing ended without an owner having ended it. */
export type PairingEnd = "expired" | "failed";

/** Where a pairing stands; see {@linkcode phaseOf}. */
export type PairingPhase = "opening" | "comparing" | "choosing" | "connected" | "different" | "cancelled" | PairingEnd;

/** What the phase depends on. */
export interface PairingSides {
  /** Whether the words are known. */
  shown: boolean;
  /** What this node's owner decided. */
  mine: PairingSide;
  /** What the other owner decided, as far as it is known here. */
  theirs: PairingSide;
  /** What else ended it, or null. */
  ended: PairingEnd | null;
}

/**
 * Where a pairing stands. Each row needs that none above it applies.
 *
 * | phase | when | the owner may |
 * |---|---|---|
 * | `different` | one owner said that the words differ | – |
 * | `cancelled` | one owner cancelled | – |
 * | `expired`, `failed` | the time ran out; the other node is gone or cheated | – |
 * | `connected` | both owners decided what the other node may do | – |
 * | `choosing` | both owners said that the words match | approve, cancel |
 * | `comparing` | the words are on both screens | match, different, cancel |
 * | `opening` | the random numbers are being exchanged | cancel |
 */
export function phaseOf({ shown, mine, theirs, ended }: PairingSides): PairingPhase {
  if (mine === "different" || theirs === "different") return "different";
  if (mine === "cancelled" || theirs === "cancelled") return "cancelled";
  if (ended !== null) return ended;
  if (!shown) return "opening";
  if (mine === "approved" && theirs === "approved") return "connected";
  return agreed(mine) && agreed(theirs) ? "choosing" : "comparing";
}

/** Whether a pairing can still go on. */
export function isOpen(phase: PairingPhase): boolean {
  return phase === "opening" || phase === "comparing" || phase === "choosing";
}

/**
 * Where this side stands after an act of its owner, or null when the act is not possible now: an approval needs that both
 * owners said that the words match.
 */
export function decided(act: PairingAct, sides: PairingSides): PairingSide | null {
  const phase = phaseOf(sides);
  if (!isOpen(phase)) return null;
  switch (act) {
    case "match":
      return phase === "comparing" ? "matched" : phase === "choosing" ? sides.mine : null;
    case "different":
      return phase === "comparing" ? "different" : null;
    case "approve":
      return phase === "choosing" ? "approved" : null;
    case "cancel":
      return "cancelled";
  }
}

/**
 * Where the other side stands after it told something. What it said once it cannot unsay, only end: whoever speaks for a
 * key cannot make the words change under the owner's eyes, nor a decision.
 */
export function heard(told: PairingSide, { theirs, ...sides }: PairingSides): PairingSide {
  if (!isOpen(phaseOf({ theirs, ...sides }))) return theirs;
  if (told === "different") return agreed(theirs) && agreed(sides.mine) ? "cancelled" : "different";
  if (told === "cancelled") return "cancelled";
  return RANK[told] > RANK[theirs] ? told : theirs;
}

const RANK = { waiting: 0, matched: 1, approved: 2, different: 3, cancelled: 3 } as const;

function agreed(side: PairingSide): boolean {
  return side === "matched" || side === "approved";
}
