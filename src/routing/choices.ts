import type { Backend } from "@ark/node/inference";
import type { NodeId } from "@ark/node/identity";
import type { LocalModel } from "@ark/node/models";
import type { ModelRef, OfferedModel, OfferHead } from "@ark/node/protocol";
import { type Claim, expectedRates, loadSince } from "./claims.ts";
import type { Observations } from "./observations.ts";
import type { Reputation } from "./reputation.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerView } from "./peer_view.ts";
import type { Candidate } from "./rank.ts";
import type { UpstreamModel } from "./upstream/upstream_models.ts";

/** How fast a model of this node was, as measured. */
export interface OwnSpeed {
  /** Loading it, in milliseconds. */
  readonly loadMs?: number | null;
  /** Tokens of a prompt read in a second. */
  readonly promptRate?: number | null;
  /** Tokens of one answer written in a second. */
  readonly generationRate?: number | null;
}

/** This node's own models and what runs them. */
export interface LocalEngine {
  /** Runs models. */
  backend: Backend & {
    /** The models in memory. */
    loaded(): readonly { id: string }[];
    /** Whether it takes work of peers now; absent: always. */
    readonly ready?: boolean;
    /** How fast models are here, by their id; absent: not measured. */
    speeds?(): ReadonlyMap<string, OwnSpeed>;
    /** What runs and waits; absent: not known. */
    queue?(): { readonly running: number; readonly waiting: number; readonly slots: number };
  };
  /** Knows which there are. */
  catalogue: {
    /** The model that a person means, or undefined. */
    find(ref: ModelRef): LocalModel | undefined;
    /** All models, in the order in which they are shown. */
    list(): readonly LocalModel[];
  };
}

/** A server that the owner named, as the router sees it. */
export interface RoutedUpstream extends Backend {
  /** Whether it is on this machine. */
  readonly local: boolean;
  /** Requests of ours that it is answering. */
  readonly inFlight: number;
  /** Measured round trip in milliseconds. */
  readonly roundTripMs: number;
  /** The model that a person means, or undefined. */
  find(ref: ModelRef): UpstreamModel | undefined;
  /** Its models, while it answers. */
  models(): readonly UpstreamModel[];
}

/** A candidate and what runs its answer. */
export interface Choice extends Candidate {
  /** Runs it. */
  readonly backend: Backend;
  /** The peer's id, or null. */
  readonly peer: NodeId | null;
  /** Whether it is an upstream server. */
  readonly upstream: boolean;
  /** Whole id of the model there. */
  readonly model: string;
  /** SHA-256 of the weights there in hex, or null where that is not known. */
  readonly digest: string | null;
  /** What it claims of its speed. */
  readonly claim: Claim;
}

/** Where {@linkcode Choices} looks. */
export interface ChoicesOptions {
  /** This node's label. */
  name: string;
  /** This node's own engine, when it has the role. */
  local: LocalEngine | null;
  /** What the peers offer. */
  table: Pick<PeerTable, "list" | "offering">;
  /** Servers that the owner named. */
  upstreams?: readonly RoutedUpstream[];
  /** Makes the backend of a peer. */
  remote(id: NodeId): Backend | null;
  /** What was seen of them. */
  observations: Pick<Observations, "of">;
  /** How far they can be relied on. */
  reputation: Pick<Reputation, "of">;
}

/** Such a server has a queue of its own, and does not say how long it is. */
const UPSTREAM_SLOTS = 64;

/** Finds who could answer, with what is known of each. */
export class Choices {
  readonly #options: ChoicesOptions;

  /** Looks at this node, its upstream servers and the table of peers. */
  constructor(options: ChoicesOptions) {
    this.#options = options;
  }

  /** Those who have a model, in no order. No backend of a peer is touched where the request must stay here. */
  of(model: ModelRef, { localOnly = false }: { localOnly?: boolean } = {}): Choice[] {
    const { local, table, upstreams = [] } = this.#options;
    const found: Choice[] = [];
    if (local !== null && local.backend.handles(model)) found.push(this.#own(local, model));
    for (const backend of upstreams) {
      const known = backend.find(model);
      if (known !== undefined && (backend.local || !localOnly)) found.push(this.#server(backend, known));
    }
    if (localOnly) return found;
    for (const { view, model: offered } of table.offering(model)) {
      const choice = this.#peer(view, offered);
      if (choice !== null) found.push(choice);
    }
    return found;
  }

  /** Those who have the very same weights, whatever they call them, in no order. */
  withWeights(digest: string, { localOnly = false }: { localOnly?: boolean } = {}): Choice[] {
    const { local, table } = this.#options;
    const found: Choice[] = [];
    const own = local?.catalogue.list().find((model) => model.digest === digest);
    if (local !== null && own !== undefined) found.push(this.#own(local, own.id));
    if (localOnly) return found;
    for (const view of table.list()) {
      const same = view.state === "ready" || view.state === "busy"
        ? view.offer?.models.find((model) => model.digest === digest)
        : undefined;
      const choice = same === undefined ? null : this.#peer(view, same);
      if (choice !== null) found.push(choice);
    }
    return found;
  }

  #own({ backend, catalogue }: LocalEngine, ref: ModelRef): Choice {
    const found = catalogue.find(ref);
    const model = found?.id ?? ref;
    const speed = backend.speeds?.().get(model);
    const queue = backend.queue?.() ?? { running: 0, waiting: 0, slots: 1 };
    return {
      key: "local",
      name: this.#options.name,
      local: true,
      loaded: backend.loaded().some(({ id }) => id === model),
      inFlight: queue.running,
      slots: queue.slots,
      queued: queue.waiting,
      roundTripMs: 0,
      ...this.#seen("local", { model, claim: speed ?? {} }),
      loadMs: speed?.loadMs ?? null,
      backend,
      peer: null,
      upstream: false,
      model,
      digest: found?.digest ?? null,
    };
  }

  #server(backend: RoutedUpstream, { id }: UpstreamModel): Choice {
    const { name, local, inFlight, roundTripMs } = backend;
    const key = `upstream:${name}`;
    return {
      key,
      name,
      local,
      loaded: true,
      inFlight,
      slots: UPSTREAM_SLOTS,
      queued: 0,
      roundTripMs,
      ...this.#seen(key, { model: id, claim: {} }),
      loadMs: null,
      backend,
      peer: null,
      upstream: true,
      model: id,
      digest: null,
    };
  }

  #peer(
    { peer: { name, node_id: peer }, inFlight, freeSlots, offer, roundTripMs }: PeerView,
    model: OfferedModel,
  ): Choice | null {
    const backend = this.#options.remote(peer);
    if (backend === null) return null;
    const { max_concurrent_requests: most, ...head }: Partial<OfferHead> = offer ?? {};
    // One that refused a request as busy has no room, whatever it offers.
    const free = freeSlots === 0 ? 0 : model.free_slots ?? head.free_slots;
    const queued = model.queued ?? head.queued ?? 0;
    // What was sent to it since it said so is not in what it said.
    const sent = Math.max(0, inFlight - (head.yours ?? inFlight));
    const load = free === undefined ? { queued } : loadSince({ free, queued }, sent);
    return {
      key: peer,
      name,
      local: false,
      loaded: model.loaded,
      inFlight,
      slots: Math.min(most ?? 1, model.slots ?? Infinity),
      ...load,
      roundTripMs: roundTripMs ?? Infinity,
      ...this.#seen(peer, {
        model: model.id,
        claim: { promptRate: model.prompt_rate ?? null, generationRate: model.generation_rate ?? null },
      }),
      loadMs: model.load_ms ?? null,
      backend,
      peer,
      upstream: false,
      model: model.id,
      digest: model.digest,
    };
  }

  /** How fast one is and how far it can be relied on, by what was seen of it and by what it claims. */
  #seen(
    key: string,
    { model, claim }: { model: string; claim: Claim },
  ): Pick<Choice, "promptRate" | "generationRate" | "successRate" | "claim"> {
    const observed = this.#options.observations.of(key, model);
    const { honesty, reliability } = this.#options.reputation.of(key);
    const successRate = Math.min(observed.successRate, reliability);
    return { ...expectedRates(observed, claim, honesty), successRate, claim };
  }
}
