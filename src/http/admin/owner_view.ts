import { formatNodeId, formatPublicKey, publicKeyOf } from "@ark/node/identity";
import type { ApprovedPeer, Neighbour, Standing } from "@ark/node/peers";
import { ANSWERING, type PeerState, type PeerView } from "@ark/node/routing";
import { formatAddress } from "@ark/node/transport";

/** A neighbour as the owner sees it in `GET /peers/discovered`. */
export interface DiscoveredPeer {
  /** Its id. */
  node_id: string;
  /** Its proven key, `ed25519:<base64>`. */
  public_key: string;
  /** How it stands with the owner: `pending` until it is approved. */
  state: "pending" | "approved" | "revoked";
  /** Where it was seen, newest first, as `host:port`. */
  addresses: string[];
  /** How it was found: `mdns`, `fixed`, `wireguard`, `asked`. */
  sources: string[];
  /** Keys of the WireGuard tunnels at whose ends it answers, `wg:` and base64. They grant nothing. */
  wireguard_keys: string[];
  /** What is odd about it, as a sentence, or null: it answers in another tunnel than the one that the owner noted. */
  warning: string | null;
  /** When it was first seen, RFC 3339. */
  first_seen: string;
  /** When it was last seen, RFC 3339. */
  last_seen: string;
}

/** An approved peer as the owner sees it in `GET /peers/status`. */
export interface PeerStatus extends ApprovedPeer {
  /** How it stands now. */
  state: PeerState;
  /** Why it is not ready, as a sentence, or null. */
  reason: string | null;
  /** Whether it answers as that node. */
  reachable: boolean;
  /** Where it answered last, or null. */
  address: string | null;
  /** Smoothed round trip of a signed request in milliseconds, or null. */
  round_trip_ms: number | null;
  /** Requests of ours that it answers now. */
  in_flight: number;
  /** Whether it tells by itself what it offers, as it changes. */
  live: boolean;
  /** Requests of ours that it would begin at once, as far as is known. */
  free_slots: number;
  /** Requests that wait there, as it says. */
  queued: number;
  /** Models that it offers to us. */
  models: string[];
  /** Whether it is a node of the owner that sleeps, as far as is known, and can be woken. */
  asleep: boolean;
}

/** A neighbour for the owner. */
export function discoveredPeer(
  neighbour: Neighbour,
  { standing, peer }: { standing: Standing; peer: ApprovedPeer | undefined },
): DiscoveredPeer {
  return {
    node_id: formatNodeId(neighbour.id),
    public_key: formatPublicKey(publicKeyOf(neighbour.id)),
    state: standing === "unknown" ? "pending" : standing,
    addresses: neighbour.addresses.map(formatAddress),
    sources: [...neighbour.sources],
    wireguard_keys: [...neighbour.tunnelKeys],
    warning: tunnelWarning(neighbour, peer),
    first_seen: neighbour.firstSeen,
    last_seen: neighbour.lastSeen,
  };
}

/** A tunnel key grants nothing, and another one than the owner expects takes nothing away; but the owner should know. */
function tunnelWarning({ tunnelKeys }: Neighbour, peer: ApprovedPeer | undefined): string | null {
  const expected = peer?.wireguard_key;
  const other = tunnelKeys.find((key) => key !== expected);
  if (expected === undefined || other === undefined) return null;
  return `${peer?.name} answers in the tunnel of ${other}, and you noted ${expected}: correct the one that is wrong`;
}

const ANSWERS: ReadonlySet<PeerState> = new Set([...ANSWERING, "not_approved", "revoked"]);

/** An approved peer for the owner. */
export function peerStatus(view: PeerView, { asleep }: { asleep: boolean }): PeerStatus {
  const { peer, state, reason, address, roundTripMs, live, inFlight, freeSlots, queued, offer } = view;
  return {
    ...peer,
    node_id: formatNodeId(peer.node_id),
    state,
    reason,
    reachable: ANSWERS.has(state),
    address: address === null ? null : formatAddress(address),
    round_trip_ms: roundTripMs === null ? null : Math.round(roundTripMs * 1_000) / 1_000,
    in_flight: inFlight,
    live,
    free_slots: freeSlots,
    queued,
    models: (offer?.models ?? []).map(({ id }) => id),
    asleep,
  };
}
