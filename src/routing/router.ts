import type { Backend, InferOptions } from "@ark/node/inference";
import type { NodeId } from "@ark/node/identity";
import type { LocalModel, ModelSource } from "@ark/node/models";
import {
  ArkError,
  type Capability,
  type ErrorCode,
  type InferenceEvent,
  type InferenceRequest,
  type ModelRef,
  toArkError,
} from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { PeerTable } from "./peer_table.ts";
import { type Candidate, type Demand, rank } from "./rank.ts";
import { routeReason } from "./route_reason.ts";
import type { UpstreamModel } from "./upstream/upstream_models.ts";

/** Who answers a request. */
export interface Route {
  /** Label of the node. */
  readonly name: string;
  /** The peer's id, or null when this node answers itself or by an upstream server. */
  readonly peer: NodeId | null;
  /** Whether an upstream server answers. */
  readonly upstream?: boolean;
  /** How many had been tried before in vain. */
  readonly attempt: number;
  /** Why it was chosen, in a few words without names. */
  readonly reason?: string;
}

/** Options of {@linkcode Router.infer}. */
export interface RouteOptions extends InferOptions {
  /**
   * Told who answers, once for each candidate that begins to answer and before any of its events is passed on. It is
   * told again, with a higher `attempt`, when that candidate failed before its first text.
   */
  chosen?(route: Route): void;
  /** Whether the request must stay on this machine. */
  localOnly?: boolean;
  /** Whether the sender may use a model, by its whole id; without it, any. */
  permits?(model: string): boolean;
}

/** This node's own models and what runs them. */
export interface LocalEngine {
  /** Runs models. */
  backend: Backend & {
    /** The models in memory. */
    loaded(): readonly { id: string }[];
    /** Whether it takes work of peers now; absent: always. */
    readonly ready?: boolean;
  };
  /** Knows which there are. */
  catalogue: {
    /** The model that a person means, or undefined. */
    find(ref: ModelRef): LocalModel | undefined;
    /** All models, in the order in which they are shown. */
    list(): readonly LocalModel[];
  };
}

/** A model within reach, and who has it. */
export interface RoutedModel {
  /** `name:tag`, as its owner calls it. */
  readonly id: string;
  /** Label of the node that has it. */
  readonly owner: string;
  /** The peer's id, or null for this node. */
  readonly peer: NodeId | null;
  /** Whether it is this node's own. */
  readonly local: boolean;
  /** Whether it is in memory now. */
  readonly loaded: boolean;
  /** SHA-256 of the file in hex, or null while it is not known yet. */
  readonly digest: string | null;
  /** Size of the file in bytes. */
  readonly size: number;
  /** Tokens of context. */
  readonly context_length: number;
  /** Size label such as `8b`, or null. */
  readonly parameters: string | null;
  /** Quantisation such as `q4_0`, or null. */
  readonly quantization: string | null;
  /** What it can do; absent where its node does not say. */
  readonly capabilities?: readonly Capability[];
  /** When it was changed last, RFC 3339 in UTC; absent where its node does not say. */
  readonly modified_at?: string;
  /** Family, such as `llama`; absent where its node does not say. */
  readonly family?: string;
  /** Where it lies on this node; absent for a peer's. */
  readonly source?: ModelSource;
  /** Further names on this node; absent for a peer's. */
  readonly aliases?: readonly string[];
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

/** Options of {@linkcode Router}. */
export interface RouterOptions {
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
  /** Says when an attempt failed. */
  logger: Pick<Logger, "warn">;
}

/** Failures that say something about the one who was asked and not about the question. */
const TRY_NEXT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unavailable",
  "busy",
  "engine_failed",
  "forbidden",
  "model_not_shared",
  "model_not_found",
  "revoked",
  "unauthenticated",
  "clock",
  "replay",
  "audit_unavailable",
  "internal",
]);

/** Failures between this node and a peer, which would read to a client as if it had done something wrong itself. */
const BETWEEN_NODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "forbidden",
  "model_not_shared",
  "revoked",
  "unauthenticated",
  "clock",
  "replay",
]);

/** Such a server has a queue of its own, and does not say how long it is. */
const UPSTREAM_SLOTS = 64;

/** Nothing is observed yet. */
const UNMEASURED = { queued: 0, promptRate: null, generationRate: null, loadMs: null, successRate: 1 };

/** What is asked where it is not looked at. */
const DEMAND: Demand = { promptTokens: 512, answerTokens: 256 };

/** A candidate and what runs its answer. */
interface Choice extends Candidate {
  readonly backend: Backend;
  readonly peer: NodeId | null;
  readonly upstream: boolean;
  /** Whole id of the model there. */
  readonly model: string;
}

/** The backend made of all others: this node's engine and the approved peers that are within reach. */
export class Router implements Backend {
  /** Always `"router"`. */
  readonly name = "router";
  readonly #options: RouterOptions;

  /** Makes a router over this node's engine and the table of peers. */
  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Whether anyone within reach has a model. */
  handles(model: ModelRef): boolean {
    return this.#choices(model).length > 0;
  }

  /**
   * All models within reach, each with who has it: this node's first, then those of upstream servers and of peers that are
   * ready. The same id
   * occurs as often as there are nodes that have it.
   */
  models(): RoutedModel[] {
    const { name: owner, local, table, upstreams = [] } = this.#options;
    const loaded = new Set(local?.backend.loaded().map(({ id }) => id));
    const own = (local?.catalogue.list() ?? []).map((model): RoutedModel => ({
      id: model.id,
      owner,
      peer: null,
      local: true,
      loaded: loaded.has(model.id),
      digest: model.digest,
      size: model.size,
      context_length: model.contextLength,
      parameters: model.parameters,
      quantization: model.quantization,
      capabilities: model.capabilities,
      modified_at: new Date(model.modifiedAt).toISOString(),
      family: model.family,
      source: model.source,
      aliases: model.aliases,
    }));
    const ready = table.list().filter(({ state }) => state === "ready");
    const theirs = ready.flatMap(({ offer, peer }) =>
      (offer?.models ?? []).map((model): RoutedModel => ({
        ...model,
        owner: peer.name,
        peer: peer.node_id,
        local: false,
      }))
    );
    const named = upstreams.flatMap((upstream) =>
      upstream.models().map((model): RoutedModel => ({
        ...model,
        owner: upstream.name,
        peer: null,
        local: upstream.local,
        loaded: true,
        digest: null,
      }))
    );
    return [...own, ...named, ...theirs];
  }

  /** Ids of all models within reach, each once. */
  available(): string[] {
    return [...new Set(this.models().map(({ id }) => id))];
  }

  /**
   * Lets the best candidate answer; tries the next one as long as no text has been shown. `start` is passed on together
   * with what follows it, so that it always belongs to the one whose text is shown.
   *
   * @throws {ArkError} `model_not_found` when nobody within reach has the model, `model_not_shared` when the sender may not
   * use it, `unavailable` when the request must stay here and the model is elsewhere; else what the last candidate said,
   * and `unavailable` where that is about this node's standing with a peer.
   */
  async *infer(request: InferenceRequest, options: RouteOptions): AsyncGenerator<InferenceEvent> {
    const { signal, priority, principal, keepAliveMs } = options;
    const asking = { priority, principal, signal, ...keepAliveMs === undefined ? {} : { keepAliveMs } };
    let failure: ArkError | null = null;
    const choices = this.#permitted(request.model, options);
    for (const [attempt, choice] of choices.entries()) {
      const { name, backend, peer, upstream } = choice;
      if (signal.aborted) throw cancelled(signal.reason);
      let start: InferenceEvent | null = null;
      let begun = false;
      let shown = false;
      try {
        for await (const event of backend.infer(request, asking)) {
          if (!begun) {
            const reason = routeReason(choice, { attempt, among: choices, demand: DEMAND });
            options.chosen?.({ name, peer, attempt, reason, ...upstream ? { upstream } : {} });
          }
          begun = true;
          if (event.type === "start") {
            start = event;
            continue;
          }
          shown = true;
          if (start !== null) yield start;
          start = null;
          yield event;
          if (event.type === "end") return;
        }
        throw new ArkError("unavailable", `${name} broke off before its answer was complete`);
      } catch (error) {
        if (signal.aborted) throw cancelled(error);
        const reason = toArkError(error);
        failure = peer !== null && BETWEEN_NODES.has(reason.code)
          ? new ArkError("unavailable", reason.message, { cause: error })
          : reason;
        if (shown || !TRY_NEXT.has(reason.code)) throw failure;
        this.#noteFailure(reason, { request, peer });
      }
    }
    throw failure ?? this.#notFound(request.model, options);
  }

  /** Those who may answer. No backend of a peer is touched for a request that must stay here. */
  #permitted(model: ModelRef, { localOnly = false, permits }: RouteOptions): Choice[] {
    const here = this.#choices(model, { localOnly });
    if (localOnly && here.length === 0) {
      throw new ArkError(
        "unavailable",
        `The model '${model}' is not on this machine, and this request must not leave it: ask a model that is here, or ` +
          "ask without local-only",
      );
    }
    if (permits === undefined) return here;
    const permitted = here.filter((choice) => permits(choice.model));
    if (permitted.length > 0 || here.length === 0) return permitted;
    throw new ArkError("model_not_shared", `This API key may not use the model '${model}': see /v1/models`);
  }

  /** A peer's own words stay out of the log: they could repeat the prompt. */
  #noteFailure(
    { code, message }: ArkError,
    { request, peer }: { request: InferenceRequest; peer: NodeId | null },
  ): void {
    const who = peer === null ? { reason: message } : { peer };
    this.#options.logger.warn("A candidate did not answer", { model: request.model, code, ...who });
  }

  #choices(model: ModelRef, { localOnly = false }: { localOnly?: boolean } = {}): Choice[] {
    const { name, local, table, remote, upstreams = [] } = this.#options;
    const found: Choice[] = [];
    if (local !== null && local.backend.handles(model)) {
      const { backend, catalogue } = local;
      const id = catalogue.find(model)?.id;
      const loaded = backend.loaded().some((one) => one.id === id);
      const whole = id ?? model;
      found.push({
        ...UNMEASURED,
        key: "local",
        name,
        local: true,
        loaded,
        inFlight: 0,
        slots: 1,
        roundTripMs: 0,
        backend,
        peer: null,
        upstream: false,
        model: whole,
      });
    }
    for (const backend of upstreams) {
      const known = backend.find(model);
      if (known === undefined || (localOnly && !backend.local)) continue;
      const { name, local, inFlight, roundTripMs } = backend;
      const slots = UPSTREAM_SLOTS;
      found.push({
        ...UNMEASURED,
        key: `upstream:${name}`,
        name,
        local,
        loaded: true,
        inFlight,
        slots,
        roundTripMs,
        backend,
        peer: null,
        upstream: true,
        model: known.id,
      });
    }
    for (const { view, model: { id, loaded } } of localOnly ? [] : table.offering(model)) {
      const { peer: { name, node_id: peer }, inFlight, offer, roundTripMs } = view;
      const backend = remote(peer);
      if (backend === null) continue;
      const slots = offer?.max_concurrent_requests ?? 1;
      const far = roundTripMs ?? Infinity;
      found.push({
        ...UNMEASURED,
        key: peer,
        name,
        local: false,
        loaded,
        inFlight,
        slots,
        roundTripMs: far,
        backend,
        peer,
        upstream: false,
        model: id,
      });
    }
    return rank(found, DEMAND);
  }

  #notFound(model: ModelRef, { permits }: RouteOptions): ArkError {
    const names = this.available().filter((name) => permits?.(name) ?? true);
    const shown = names.slice(0, 12).join(", ") + (names.length > 12 ? ` and ${names.length - 12} more` : "");
    const have = names.length === 0
      ? "no model is available: put a GGUF file into a folder of --models, or approve a peer that has one"
      : `available: ${shown}`;
    return new ArkError(
      "model_not_found",
      `The model '${model}' is neither here nor at an approved peer within reach; ${have}`,
    );
  }
}

function cancelled(cause: unknown): ArkError {
  return new ArkError("cancelled", "The request was cancelled", { cause });
}
