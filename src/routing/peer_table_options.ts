import type { NodeId } from "@ark/node/identity";
import type { ApprovedPeer } from "@ark/node/peers";
import type { Logger } from "@ark/node/telemetry";
import type { MeshClient, PeerAddress } from "@ark/node/transport";

/** Options of `PeerTable`. */
export interface PeerTableOptions {
  /** Lists the approved peers. */
  approved(): readonly ApprovedPeer[];
  /** Where a node may be dialled. */
  addresses(id: NodeId): readonly PeerAddress[];
  /** Asks a peer, and lets go of kept connections to one that does not answer on them. */
  client: Pick<MeshClient, "request"> & Partial<Pick<MeshClient, "closeIdle">>;
  /** Port of our own mesh listener, told to peers so that they can dial us; 0 for none. */
  ownPort(): number;
  /** Says when a peer comes and goes. */
  logger: Logger;
  /** Told where a peer answered as itself, each time that it does. */
  reached?: (id: NodeId, address: PeerAddress) => void;
  /** Time between two questions to a peer, in milliseconds. @default {2000} */
  everyMs?: number;
  /** The same while it answers a request of ours. @default {500} */
  hurryMs?: number;
  /**
   * How long a peer that was there just now may take on a kept connection, in milliseconds, or three round trips where
   * that is longer; then it gets as long once more on a new connection. Time in which this node itself was held up does
   * not count. @default {1200}
   */
  patienceMs?: number;
  /** How long a peer may take to say what it offers, in milliseconds. @default {5000} */
  answerMs?: number;
  /** Longest silence of a peer that tells by itself what it offers, in milliseconds; then it is asked. @default {2300} */
  silenceMs?: number;
  /** The same while it answers a request of ours. @default {900} */
  hurriedSilenceMs?: number;
}
