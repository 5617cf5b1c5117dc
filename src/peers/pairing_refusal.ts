import { type NodeId, shortId } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import { isOpen, type PairingAct } from "./pairing.ts";
import type { PairingView } from "./pairing_card.ts";

/** What is said of a pairing that is not there. */
export const NO_PAIRING = "There is no such pairing: 'ark-node peers pair' shows those that there are";

/** One answer for all reasons, so that a stranger does not learn which it was. */
export function notNow(): ArkError {
  return new ArkError("busy", "This node takes no pairing of yours now: its owner can begin one", {
    retryAfterSeconds: 60,
  });
}

/** Why a node that the owner set aside is not paired with. */
export function ignoredSentence(id: NodeId, why: string): string {
  const undo = `'ark-node peers unignore ${shortId(id)}' takes that back`;
  return why === "different"
    ? `You said less than a day ago that this node's words differ, so someone may be in between; ${undo}`
    : `You ignore this node; ${undo}`;
}

/** Why the owner cannot do something with a pairing now. */
export function impossible(act: PairingAct, card: PairingView): string {
  const { phase, mine } = card;
  if (!isOpen(phase)) return "This pairing is over: begin anew";
  if (act === "approve") {
    return mine === "waiting"
      ? "Compare the words first, and say whether they match"
      : "The other owner has not said yet that the words match: wait for it";
  }
  return phase === "opening" ? "The words are not known yet" : "Both owners have said that the words match already";
}
