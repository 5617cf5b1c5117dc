import type { ApprovedPeer, Invitations, Pairings } from "@ark/node/peers";
import {
  ArkError,
  decodeInvitationProof,
  decodePairingMessage,
  type InvitationProof,
  toArkError,
} from "@ark/node/protocol";
import type { NodeId } from "@ark/node/identity";
import type { Logger } from "@ark/node/telemetry";
import { type Caller, type MeshRequest, type PeerAddress, sourceOf } from "@ark/node/transport";
import { type AdmitOptions, admitPeer } from "../admit_peer.ts";
import { readJson } from "../api/request_json.ts";
import type { Denials } from "./denials.ts";
import type { IntroductionRoute } from "./introductions.ts";
import { toldAddress } from "./mesh_app.ts";

/** What {@linkcode meetingRoutes} needs. */
export interface MeetingOptions extends AdmitOptions {
  /** This node. */
  self: NodeId;
  /** Its label. */
  name: string;
  /** Approved peers. */
  book: AdmitOptions["book"] & { get(id: NodeId): ApprovedPeer | undefined };
  /** Pairings by words. */
  pairings: Pick<Pairings, "hear">;
  /** Invitations of this node. */
  invitations: Pick<Invitations, "redeem" | "restore" | "wasAcceptedBy">;
  /** Records who was turned away. */
  denials: Denials;
  /** Says who accepted. */
  logger: Pick<Logger, "info">;
}

const BODY_BYTES = 8 << 10;

/**
 * How nodes that do not know each other yet come together; each caller speaks for its own key and for no other.
 *
 * | request | body | answer |
 * |---|---|---|
 * | `POST /ark/v1/pair?port=N` | a `PairingMessage` | a `PairingNonce` or a `PairingState` |
 * | `POST /ark/v1/invite?port=N` | an `InvitationProof` | an `InvitationAnswer`: the caller is approved as the invitation says |
 */
export function meetingRoutes(options: MeetingOptions): Record<string, IntroductionRoute> {
  return {
    "/ark/v1/pair": async (request, caller) => {
      const message = decodePairingMessage(await readJson(request, BODY_BYTES));
      const who = { id: caller.nodeId, source: sourceOf(caller.remote), address: addressOf(request, caller) };
      return Response.json(options.pairings.hear(message, who));
    },
    "/ark/v1/invite": async (request, caller) => {
      const proof = decodeInvitationProof(await readJson(request, BODY_BYTES));
      try {
        await welcome(proof, { caller, address: addressOf(request, caller), options });
      } catch (error) {
        const { code } = toArkError(error);
        if (code === "forbidden") options.denials.note({ code, remote: caller.remote, nodeId: caller.nodeId });
        throw error;
      }
      return Response.json({ name: options.name });
    },
  };
}

async function welcome(
  proof: InvitationProof,
  { caller, address, options }: { caller: Caller; address: PeerAddress | null; options: MeetingOptions },
): Promise<void> {
  const { self, book, invitations, audit, logger } = options;
  const id = caller.nodeId;
  const who = { caller: id, self };
  const before = book.get(id);
  let terms;
  try {
    terms = await invitations.redeem(proof, who);
  } catch (error) {
    // Whoever accepted and did not get the answer may ask again; it gains nothing by that.
    if (before !== undefined && await invitations.wasAcceptedBy(proof, who)) return;
    throw error;
  }
  try {
    await admitPeer({
      node_id: id,
      name: terms.name ?? proof.name,
      permissions: terms.permissions,
      ...(terms.lives_ms === null ? {} : { expires_at: new Date(Date.now() + terms.lives_ms).toISOString() }),
      // Whoever has the link may accept it: the words are still to be compared, unless they were before.
      ...(before !== undefined && before.verified !== false ? {} : { verified: false }),
    }, { addresses: address === null ? [] : [address], options });
  } catch (error) {
    await invitations.restore(proof, id);
    throw new ArkError("unavailable", "This node could not take you in now; try again later", { cause: error });
  }
  logger.info("An invitation was accepted: compare words with 'ark-node peers pair' when you can", { peer: id });
  await audit.append({ kind: "pair", direction: "in", peer: id, outcome: "ok" }).catch(() => {});
}

function addressOf(request: MeshRequest, caller: Caller): PeerAddress | null {
  return toldAddress(new URL(request.url), caller.remote);
}
