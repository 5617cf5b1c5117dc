import { setTimeout as pause } from "node:timers/promises";
import { type Identity, publicKeyOf } from "@ark/node/identity";
import { ArkError, decodePairingNonce, decodePairingState, type PairingMessage } from "@ark/node/protocol";
import type { MeshClient, PeerAddress } from "@ark/node/transport";
import type { PairingCard } from "./pairing_card.ts";
import { callPeer } from "./peer_call.ts";
import { commitmentOf, type PairingWords, wordsOf } from "./words.ts";

/** The side of a pairing that began it, and so speaks. */
export interface PairingDialogue {
  /** This node. */
  identity: Identity;
  /** Its label. */
  name: string;
  /** Talks to other nodes. */
  client: Pick<MeshClient, "request">;
  /** Port of this node's mesh listener. */
  ownPort(): number;
  /** The pairing. */
  card: PairingCard;
  /** Where the other node is. */
  addresses: PeerAddress[];
  /** Time between two messages, in milliseconds. */
  pollMs: number;
  /** Ends the dialogue. */
  signal: AbortSignal;
}

const CALL_MS = 5_000;
/** How long the end of a pairing is told to a node that does not answer. */
const FAREWELL_MS = 3_000;

/**
 * Commits, hears the other random number, reveals: after that both nodes know the same words.
 *
 * @throws {ArkError} `busy` when the other node takes no pairing now, `unavailable` when it broke off.
 */
export async function openPairing(dialogue: PairingDialogue): Promise<PairingWords> {
  const { identity, card } = dialogue;
  const keys = { begins: identity.publicKey, answers: publicKeyOf(card.id) };
  const beginsNonce = card.nonce;
  const commitment = commitmentOf({ ...keys, beginsNonce });
  const { nonce } = decodePairingNonce(await tell(dialogue, { type: "commit", session: card.wire, commitment }));
  if (!card.open) throw new ArkError("cancelled", "The other node began at the same instant");
  const answer = await tell(dialogue, { type: "reveal", session: card.wire, nonce: beginsNonce.toHex() });
  if (decodePairingState(answer).state === "cancelled") {
    throw new ArkError("unavailable", "The other node broke the pairing off: begin anew");
  }
  return wordsOf({ ...keys, beginsNonce, answersNonce: Uint8Array.fromHex(nonce) });
}

/** Tells how this side stands and hears how the other one does, until both know how it ended. Never fails. */
export async function follow(dialogue: PairingDialogue & { changed(): void }): Promise<void> {
  const { card, name, pollMs, signal, changed } = dialogue;
  let told = "";
  let farewell = Infinity;
  while (!signal.aborted) {
    const woken = Promise.withResolvers<void>();
    card.wake = woken.resolve;
    const state = card.state(name);
    try {
      const answer = decodePairingState(await tell(dialogue, { type: "state", session: card.wire, ...state }));
      told = state.state;
      if (card.hear(answer)) {
        changed();
        // The other side learns at once that this one knows: only then it is told the name.
        if (card.open) continue;
      }
    } catch {
      // Silence is noticed by the card's own clock.
    }
    if (!card.open) {
      farewell = Math.min(farewell, performance.now() + FAREWELL_MS);
      if (told === card.state(name).state || performance.now() >= farewell) return;
    }
    const enough = new AbortController();
    const rest = pause(pollMs, undefined, { signal: AbortSignal.any([signal, enough.signal]) }).catch(() => {});
    await Promise.race([woken.promise, rest]);
    enough.abort();
    await rest;
  }
}

async function tell(dialogue: PairingDialogue, message: PairingMessage): Promise<unknown> {
  const { client, card, addresses, ownPort, signal } = dialogue;
  return await callPeer(client, { id: card.id, addresses }, {
    path: `/ark/v1/pair?port=${ownPort()}`,
    body: message,
    deadlineMs: CALL_MS,
    signal,
  });
}
