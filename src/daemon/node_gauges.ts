import { shortId } from "@ark/node/identity";
import type { PeerState, PeerTable } from "@ark/node/routing";
import type { Metrics } from "@ark/node/telemetry";
import type { OwnEngine } from "./role.ts";

/** What {@linkcode nodeGauges} looks at. */
export interface NodeGaugesOptions {
  /** What peers offer. */
  table: Pick<PeerTable, "list">;
  /** This node's own engine, or null. */
  engine: { backend: Pick<OwnEngine["backend"], "queued" | "ready" | "loaded"> } | null;
}

/** Most peers that have a series of their own; of more, nothing is told one by one. */
export const NAMED_PEERS = 64;

const STATES: readonly PeerState[] = [
  "ready",
  "draining",
  "unreachable",
  "unseen",
  "not_approved",
  "revoked",
  "paused",
];

/** Gauges that say how the node and its peers stand, set whenever they are read. A peer is named by its short id. */
export function nodeGauges(metrics: Metrics, { table, engine }: NodeGaugesOptions): void {
  const peers = metrics.gauge("ark_peers", "Approved peers, by how they stand.", ["state"]);
  const inFlight = metrics.gauge("ark_peer_requests_running", "Requests of ours that a peer answers now.", ["peer"]);
  const roundTrips = metrics.gauge("ark_peer_round_trip_seconds", "Smoothed round trip to a peer.", ["peer"]);
  const queue = metrics.gauge("ark_queue_length", "Requests that wait for this node's models.");
  const loaded = metrics.gauge("ark_models_loaded", "Models in this node's memory.");
  const strained = metrics.gauge("ark_memory_short", "1 while this node has too little memory to work for peers.");
  metrics.collect(() => {
    const views = table.list();
    for (const state of STATES) peers.set(views.filter((view) => view.state === state).length, { state });
    inFlight.clear();
    roundTrips.clear();
    for (const { peer, inFlight: running, roundTripMs } of views.slice(0, NAMED_PEERS)) {
      const labels = { peer: shortId(peer.node_id) };
      inFlight.set(running, labels);
      if (roundTripMs !== null) roundTrips.set(roundTripMs / 1_000, labels);
    }
    queue.set(engine?.backend.queued ?? 0);
    loaded.set(engine?.backend.loaded().length ?? 0);
    strained.set(engine?.backend.ready === false ? 1 : 0);
  });
}
