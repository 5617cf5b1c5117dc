import { formatNodeId, formatPublicKey, publicKeyOf } from "@ark/node/identity";
import {
  type ApprovedPeer,
  describePairing,
  type IgnoredNode,
  type InvitationView,
  lookAlike,
  type PairingView,
} from "@ark/node/peers";
import { formatAddress } from "@ark/node/transport";

/** A pairing as the owner's programs see it: the answer of `GET /peers/pair`. */
export interface PairingJson {
  /** Names it in calls. */
  session: string;
  /** The other node's id. */
  node_id: string;
  /** Its proven key, `ed25519:<base64>`. */
  public_key: string;
  /** `out`: this node began; `in`: the other one did. */
  direction: "in" | "out";
  /** Where the other node is, as `host:port`, or null. */
  address: string | null;
  /** When it began, RFC 3339. */
  started_at: string;
  /** Milliseconds that are left for what is to be done now. */
  left_ms: number;
  /** `opening`, `comparing`, `choosing`, or how it ended: `connected`, `different`, `cancelled`, `expired`, `failed`. */
  phase: PairingView["phase"];
  /** What this node's owner decided. */
  mine: PairingView["mine"];
  /** What the other owner decided. */
  theirs: PairingView["theirs"];
  /** Four words that both screens show, or null. */
  words: string[] | null;
  /** The same as numbers, 0 to 2047, or null. */
  numbers: number[] | null;
  /** The other node's label, once both owners said that the words match. */
  name: string | null;
  /** An approved peer whose name this one could be taken for, or null. */
  looks_like: string | null;
  /** Whether it is approved here already: then only the comparison is new. */
  approved: boolean;
  /** Where it stands and what is to be done, in plain words. */
  sentence: string;
}

/** A node of which the owner hears nothing. */
export interface IgnoredJson {
  /** Its id. */
  node_id: string;
  /** `ignored`, `dismissed` or `different`. */
  why: IgnoredNode["why"];
  /** RFC 3339. */
  since: string;
  /** RFC 3339, or null for until it is taken back. */
  until: string | null;
}

/** An invitation as the owner's programs see it. */
export interface InvitationJson {
  /** Names it in calls. */
  id: string;
  /** `open`, `accepted` or `expired`. */
  state: InvitationView["state"];
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  expires_at: string;
  /** Id of who accepted, or null. */
  used_by: string | null;
  /** Name of who accepted, where it is approved still, or null. */
  name: string | null;
  /** Whether the words were compared with who accepted, or null where nobody is approved by it. */
  verified: boolean | null;
}

const PAUSED =
  " It was approved before and is paused now: 'ark-node peers revoke' ends that, 'peers resume' takes it back.";

/** A pairing for the owner. */
export function pairingJson(view: PairingView, peers: readonly ApprovedPeer[]): PairingJson {
  const approved = peers.some(({ node_id }) => node_id === view.id);
  const others = peers.filter(({ node_id }) => node_id !== view.id).map(({ name }) => name);
  return {
    session: view.session,
    node_id: formatNodeId(view.id),
    public_key: formatPublicKey(publicKeyOf(view.id)),
    direction: view.direction,
    address: view.address === null ? null : formatAddress(view.address),
    started_at: view.startedAt,
    left_ms: view.leftMs,
    phase: view.phase,
    mine: view.mine,
    theirs: view.theirs,
    words: view.words === null ? null : [...view.words.words],
    numbers: view.words === null ? null : [...view.words.numbers],
    name: view.name,
    looks_like: view.name === null ? null : lookAlike(view.name, others),
    approved,
    sentence: describePairing(view) + (approved && view.mine === "different" ? PAUSED : ""),
  };
}

/** An ignored node for the owner. */
export function ignoredJson({ id, why, since, until }: IgnoredNode): IgnoredJson {
  return { node_id: formatNodeId(id), why, since, until };
}

/** An invitation for the owner. */
export function invitationJson(view: InvitationView, peers: readonly ApprovedPeer[]): InvitationJson {
  const peer = peers.find(({ node_id }) => node_id === view.usedBy);
  return {
    id: view.id,
    state: view.state,
    created_at: view.createdAt,
    expires_at: view.expiresAt,
    used_by: view.usedBy === null ? null : formatNodeId(view.usedBy),
    name: peer?.name ?? view.terms.name ?? null,
    verified: peer === undefined ? null : peer.verified !== false,
  };
}
