import { isIP, isIPv4 } from "node:net";
import { isDialablePort, isElsewhere, parsePeerAddress } from "@ark/node/discovery";
import type { Identity, NodeId } from "@ark/node/identity";
import { ArkError, decodeInvitationAnswer, parseInvitation, reasonOf } from "@ark/node/protocol";
import type { MeshClient, PeerAddress } from "@ark/node/transport";
import { proveInvitation } from "./invitations.ts";
import { callPeer } from "./peer_call.ts";

/** What {@linkcode acceptInvitation} needs. */
export interface AcceptOptions {
  /** This node. */
  identity: Identity;
  /** Its label, which the inviter is told. */
  name: string;
  /** Talks to other nodes. */
  client: Pick<MeshClient, "request">;
  /** Port of this node's mesh listener. */
  ownPort(): number;
  /** Whether the link may name this machine: only where the node itself listens nowhere else. */
  loopback: boolean;
  /** Where the inviter was seen beside what the link says. */
  addresses(id: NodeId): PeerAddress[];
}

/** Who invited, and where it answered. */
export interface Inviter {
  /** Its id. */
  id: NodeId;
  /** Its label, as it told it. */
  name: string;
  /** Where it may be dialled. */
  addresses: PeerAddress[];
}

const CALL_MS = 15_000;

/**
 * Tells the inviter of a link that this node accepts: in TLS that is pinned to the key in the link, so nobody else hears
 * it. What the inviter may do *here* is another decision, which the owner takes afterwards.
 *
 * @throws {ArkError} `bad_request` for a link that cannot be used; `forbidden` when it was used before, taken back or is
 * over; `unavailable` when the inviter cannot be reached.
 */
export async function acceptInvitation(link: string, options: AcceptOptions): Promise<Inviter> {
  const { identity, name, client, ownPort, loopback } = options;
  const invitation = parsed(link);
  const { inviter } = invitation;
  if (inviter === identity.id) {
    throw new ArkError("bad_request", "This invitation is of this node itself: send it to somebody");
  }
  const hints = invitation.hints.map((hint) => parsePeerAddress(hint)).filter((hint) => mayDial(hint, { loopback }));
  const addresses = [...options.addresses(inviter), ...hints];
  if (addresses.length === 0) {
    throw new ArkError(
      "bad_request",
      "The invitation names no address that can be dialled: ask for one with --at HOST:PORT",
    );
  }
  const answer = await callPeer(client, { id: inviter, addresses }, {
    path: `/ark/v1/invite?port=${ownPort()}`,
    body: { ...proveInvitation(invitation, identity.id), name },
    deadlineMs: CALL_MS,
    signal: AbortSignal.timeout(CALL_MS),
  }).catch((error) => {
    throw error instanceof ArkError && error.code === "forbidden"
      ? new ArkError(
        "forbidden",
        "The invitation was used before, was taken back, or its time is over: ask for a new one",
      )
      : error;
  });
  return { id: inviter, name: decodeInvitationAnswer(answer).name, addresses };
}

function parsed(link: string) {
  try {
    return parseInvitation(link);
  } catch (error) {
    throw new ArkError("bad_request", reasonOf(error));
  }
}

/** Whether a link may make this node dial an address: no link is to reach what only this machine can. */
function mayDial({ hostname, port }: PeerAddress, { loopback }: { loopback: boolean }): boolean {
  if (!isDialablePort(port)) return false;
  if (loopback && (hostname === "::1" || (isIPv4(hostname) && hostname.startsWith("127.")))) return true;
  if (isIP(hostname) !== 0) return isElsewhere(hostname);
  return hostname.toLowerCase().replace(/\.$/, "") !== "localhost" && !/\.localhost\.?$/i.test(hostname);
}
