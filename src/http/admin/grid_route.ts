import { formatNodeId, type Identity } from "@ark/node/identity";
import type { LocalBackend } from "@ark/node/inference";
import type { ModelCatalogue } from "@ark/node/models";
import type { Hardware } from "@ark/node/protocol";
import { type DensityGrid, densityGrid, type GridSource, type PeerTable, type RoutedUpstream } from "@ark/node/routing";

/** What the grid is made of. */
export interface GridOptions {
  /** This node. */
  identity: Pick<Identity, "id">;
  /** Its label. */
  name: string;
  /** This node's own models, or null. */
  engine: {
    /** Runs them. */
    backend: Pick<LocalBackend, "loaded" | "queued">;
    /** Knows which there are. */
    catalogue: Pick<ModelCatalogue, "list">;
  } | null;
  /** What this node works with; its own owner always sees it. */
  hardware(): Promise<Hardware>;
  /** Servers that the owner named. */
  upstreams?: readonly Pick<RoutedUpstream, "name" | "inFlight" | "models">[];
  /** What the peers offer. */
  table: Pick<PeerTable, "list">;
}

/** The grid as the owner of this node sees it: of its peers no more than each told this node. */
export async function gridOf(options: GridOptions): Promise<DensityGrid> {
  const { identity, name, engine, upstreams = [], table } = options;
  const loaded = engine?.backend.loaded() ?? [];
  const own: GridSource = {
    kind: "own",
    name,
    node_id: formatNodeId(identity.id),
    state: "ready",
    hardware: await options.hardware(),
    // A model that is not in memory would get as many.
    slots: engine === null ? 0 : Math.max(1, ...loaded.map(({ slots }) => slots)),
    running: loaded.reduce((sum, { running }) => sum + running, 0),
    queued: engine?.backend.queued ?? 0,
    models: (engine?.catalogue.list() ?? []).map(({ id, digest, size }) => {
      return { id, digest, size, loaded: loaded.some((one) => one.id === id) };
    }),
  };
  const servers = upstreams.map((one): GridSource => ({
    kind: "upstream",
    name: one.name,
    node_id: null,
    state: "ready",
    hardware: null,
    slots: null,
    running: one.inFlight,
    queued: null,
    models: one.models().map(({ id, size }) => ({ id, digest: null, size, loaded: true })),
  }));
  const peers = table.list().map(({ peer, state, offer, inFlight }): GridSource => ({
    kind: "peer",
    name: peer.name,
    node_id: formatNodeId(peer.node_id),
    state,
    hardware: offer?.hardware ?? null,
    slots: offer?.max_concurrent_requests ?? null,
    running: inFlight,
    queued: offer?.queued ?? null,
    models: (offer?.models ?? []).map(({ id, digest, size, loaded }) => ({ id, digest, size, loaded })),
  }));
  return densityGrid([own, ...servers, ...peers]);
}
