import type { NodeId } from "@ark/node/identity";
import type { LocalModel } from "@ark/node/models";
import type { ApprovedPeer } from "@ark/node/peers";
import { type ModelRef, type Offer, type OfferedModel, reasonOf } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";

/** One of the owner's nodes that has a model. */
export interface ReplicaNode {
  /** Who it is. */
  readonly id: NodeId;
  /** Whether the model is in its memory. */
  readonly loaded: boolean;
}

/**
 * Which nodes are to have a model in memory, so that so many do: those that have it, then the others, both by their ids.
 * Every node that sees the same comes to the same, so that not all load it at once. `late` are those that should have
 * loaded it and have not.
 */
export function replicaHolders(
  nodes: readonly ReplicaNode[],
  { count, late }: { count: number; late: ReadonlySet<NodeId> },
): NodeId[] {
  const worth = ({ id, loaded }: ReplicaNode) => loaded ? 0 : late.has(id) ? 2 : 1;
  return [...nodes].sort((a, b) => worth(a) - worth(b) || (a.id < b.id ? -1 : 1)).slice(0, count).map(({ id }) => id);
}

/** What {@linkcode Replicas} sees of an approved peer. */
export interface ReplicaPeer {
  /** Its entry in the book. */
  readonly peer: Pick<ApprovedPeer, "node_id" | "own">;
  /** How it stands; `unseen` where it was not reached yet. */
  readonly state: string;
  /** What it offers to us, or null. */
  readonly offer: Pick<Offer, "models"> | null;
}

/** What {@linkcode Replicas} loads models with. */
export interface ReplicaBackend {
  /** The models in memory. */
  loaded(): readonly { readonly id: string }[];
  /** Whether there is memory enough on the machine. */
  readonly ready: boolean;
  /** Whether a model could be loaded without sending another one away. */
  hasRoomFor(ref: ModelRef): boolean;
  /** Brings a model into memory, to stay for so long (milliseconds; null is for ever) when nobody uses it. */
  load(ref: ModelRef, options: { keepAliveMs: number | null }): Promise<void>;
}

/** Options of {@linkcode Replicas}. */
export interface ReplicasOptions {
  /** This node. */
  self: NodeId;
  /** The models, as the owner named them. */
  models: readonly ModelRef[];
  /** How many of the owner's nodes are to have each in memory. */
  count: number;
  /** How long models stay here that nobody uses, in milliseconds; null is for ever. */
  keepAliveMs: number | null;
  /** Runs models. */
  backend: ReplicaBackend;
  /** Knows which there are here. */
  catalogue: { find(ref: ModelRef): Pick<LocalModel, "id" | "digest"> | undefined };
  /** Every approved peer with what is known of it. */
  peers(): readonly ReplicaPeer[];
  /** Monotonic clock in milliseconds. @default {performance.now} */
  clock?: () => number;
  /** Says what is kept. */
  logger?: Pick<Logger, "info" | "debug">;
}

/** How long a node may take to load what it should, before another one does, and how long it is passed over then. */
const PATIENCE_MS = 120_000;
const PASSED_OVER_MS = 30 * 60_000;
/** How long after the start own nodes that were not asked yet are waited for. */
const GRACE_MS = 15_000;

/**
 * Keeps models in the memory of a minimum number of the owner's nodes: each node sees in the offers of the others where a
 * model is loaded, and loads it itself where too few have it, it has room, and its id is the next. Where more have it than
 * are needed, those with the highest ids let it go when nobody uses it.
 *
 * It is a wish: nothing is sent away for it, and the owner's other requests may send it away. Peers that are not marked as
 * the owner's own count for nothing.
 */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #clock: () => number;
  readonly #since: number;
  /** Models that this node keeps in memory for now. */
  readonly #held = new Set<string>();
  readonly #loading = new Set<string>();
  /** When a node was first seen not to have what it should, by model and node. */
  readonly #expected = new Map<string, number>();

  /** Keeps nothing yet. */
  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#since = this.#clock();
  }

  /** Ids of the models that this node keeps in memory for now. */
  get held(): ReadonlySet<string> {
    return this.#held;
  }

  /** Looks around, and loads or lets go what is to be. */
  tick(): void {
    const now = this.#clock();
    const own = this.#options.peers().filter(({ peer }) => peer.own === true);
    // Right after the start nobody is known yet: all own nodes would load it at once.
    if (now - this.#since < GRACE_MS && own.some(({ state }) => state === "unseen")) return;
    const seen = new Set<string>();
    for (const ref of this.#options.models) {
      const model = this.#options.catalogue.find(ref);
      if (model !== undefined) this.#look(model, { own, now, seen });
    }
    for (const name of this.#expected.keys()) if (!seen.has(name)) this.#expected.delete(name);
  }

  #look(
    model: Pick<LocalModel, "id" | "digest">,
    { own, now, seen }: { own: readonly ReplicaPeer[]; now: number; seen: Set<string> },
  ): void {
    const { self, count, backend } = this.#options;
    const loaded = backend.loaded().some(({ id }) => id === model.id);
    const nodes: ReplicaNode[] = [{ id: self, loaded }];
    for (const { peer, offer } of own) {
      const same = offer?.models.find((offered) => sameModel(offered, model));
      if (same !== undefined) nodes.push({ id: peer.node_id, loaded: same.loaded });
    }
    const late = new Set<NodeId>();
    for (const node of nodes) {
      const name = `${model.id}\n${node.id}`;
      const waited = now - (this.#expected.get(name) ?? now);
      if (node.loaded || waited >= PATIENCE_MS + PASSED_OVER_MS) this.#expected.delete(name);
      else if (waited >= PATIENCE_MS) late.add(node.id);
      if (this.#expected.has(name)) seen.add(name);
    }
    const holders = replicaHolders(nodes, { count, late });
    for (const { id, loaded } of nodes) {
      const name = `${model.id}\n${id}`;
      if (loaded || !holders.includes(id)) continue;
      if (!this.#expected.has(name)) this.#expected.set(name, now);
      seen.add(name);
    }
    if (holders.includes(self)) this.#hold(model.id, loaded);
    else this.#letGo(model.id, loaded);
  }

  #hold(model: string, loaded: boolean): void {
    const { backend, logger } = this.#options;
    if ((loaded && this.#held.has(model)) || this.#loading.has(model)) return;
    if (!loaded && (!backend.ready || !backend.hasRoomFor(model))) return;
    logger?.info("Keeping a model in memory, as one of the owner's nodes that do", { model });
    this.#held.add(model);
    this.#load(model, null);
  }

  #letGo(model: string, loaded: boolean): void {
    if (!this.#held.delete(model) || !loaded) return;
    this.#options.logger?.info("Enough of the owner's other nodes keep a model in memory", { model });
    this.#load(model, this.#options.keepAliveMs);
  }

  #load(model: string, keepAliveMs: number | null): void {
    this.#loading.add(model);
    this.#options.backend.load(model, { keepAliveMs })
      .catch((error) => {
        this.#held.delete(model);
        this.#options.logger?.debug("A model could not be kept in memory", { model, reason: reasonOf(error) });
      })
      .finally(() => this.#loading.delete(model));
  }
}

/** The same weights, or, where one of both does not know its own yet, the same id. */
function sameModel(offered: OfferedModel, model: Pick<LocalModel, "id" | "digest">): boolean {
  if (offered.digest === null || model.digest === null) return offered.id === model.id;
  return offered.digest === model.digest;
}
