import { shortId } from "@ark/node/identity";
import { PEER_STATES, type PeerTable, type Reputation, type Router } from "@ark/node/routing";
import type { Metrics } from "@ark/node/telemetry";
import type { OwnEngine } from "./role.ts";

/** What {@linkcode nodeGauges} looks at. */
export interface NodeGaugesOptions {
  /** What peers offer. */
  table: Pick<PeerTable, "list">;
  /** Knows how their answers ended. */
  router: Pick<Router, "breakers"> & { readonly reputation: Pick<Reputation, "of"> };
  /** This node's own engine, or null. */
  engine: { backend: Pick<OwnEngine["backend"], "queued" | "ready" | "loaded"> } | null;
}

/** Most peers that have a series of their own; of more, nothing is told one by one. */
export const NAMED_PEERS = 64;

/**
 * Gauges that say how the node and its peers stand, set whenever they are read. What is told of each peer, by its short id,
 * is for the owner alone and has metrics of its own.
 */
export function nodeGauges(
  { metrics, peerMetrics }: { metrics: Metrics; peerMetrics: Metrics },
  { table, router, engine }: NodeGaugesOptions,
): void {
  const peers = metrics.gauge("ark_peers", "Approved peers, by how they stand.", ["state"]);
  const inFlight = peerMetrics.gauge("ark_peer_requests_running", "Requests of ours that a peer answers now.", [
    "peer",
  ]);
  const roundTrips = peerMetrics.gauge("ark_peer_round_trip_seconds", "Smoothed round trip to a peer.", ["peer"]);
  const reliability = peerMetrics.gauge(
    "ark_peer_reliability_ratio",
    "Reputation of a peer: how far its answers come to their end, 0 to 1, and 1 where nothing is known.",
    ["peer"],
  );
  const breakers = metrics.gauge("ark_breakers", "Pairs of node and model that are set aside because they failed.", [
    "state",
  ]);
  const queue = metrics.gauge("ark_queue_length", "Requests that wait for this node's models.");
  const loaded = metrics.gauge("ark_models_loaded", "Models in this node's memory.");
  const strained = metrics.gauge("ark_memory_short", "1 while this node has too little memory to work for peers.");
  metrics.collect(() => {
    const views = table.list();
    for (const state of PEER_STATES) {
      peers.set(views.filter((view) => view.state === state).length, { state });
    }
    const { open, half_open } = router.breakers();
    breakers.set(open, { state: "open" });
    breakers.set(half_open, { state: "half_open" });
    queue.set(engine?.backend.queued ?? 0);
    loaded.set(engine?.backend.loaded().length ?? 0);
    strained.set(engine?.backend.ready === false ? 1 : 0);
  });
  peerMetrics.collect(() => {
    inFlight.clear();
    reliability.clear();
    roundTrips.clear();
    for (const { peer, inFlight: running, roundTripMs } of table.list().slice(0, NAMED_PEERS)) {
      const labels = { peer: shortId(peer.node_id) };
      inFlight.set(running, labels);
      reliability.set(router.reputation.of(peer.node_id).reliability, labels);
      if (roundTripMs !== null) roundTrips.set(roundTripMs / 1_000, labels);
    }
  });
}
