import type { Backend, InferOptions } from "@ark/node/inference";
import type { NodeId } from "@ark/node/identity";
import { ArkError, type InferenceEvent, type InferenceRequest, type ModelRef, toArkError } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { PeerTable } from "./peer_table.ts";
import { type Candidate, rank } from "./rank.ts";

/** Who answers a request. */
export interface Route {
  /** Label of the node. */
  readonly name: string;
  /** The peer's id, or null when this node answers itself. */
  readonly peer: NodeId | null;
  /** How many had been tried before in vain. */
  readonly attempt: number;
}

/** Options of {@linkcode Router.infer}. */
export interface RouteOptions extends InferOptions {
  /** Told who answers, before the first event. */
  chosen?(route: Route): void;
}

/** Options of {@linkcode Router}. */
export interface RouterOptions {
  /** This node's own engine, when it has the role. */
  local: (Backend & { loaded(): readonly { id: string }[]; resolve(model: ModelRef): string | undefined }) | null;
  /** What the peers offer. */
  table: PeerTable;
  /** Makes the backend of a peer. */
  remote(id: NodeId): Backend | null;
  /** Says when an attempt failed. */
  logger: Logger;
}

/** Failures that say something about the one who was asked and not about the question. */
const TRY_NEXT: ReadonlySet<string> = new Set([
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
    return this.#candidates(model).length > 0;
  }

  /** Names of all models within reach, each with who has it; this node first. */
  models(): { id: string; owner: string; local: boolean }[] {
    const { table } = this.#options;
    return table.list().filter((view) => view.state === "ready").flatMap(({ offer, peer }) =>
      (offer?.models ?? []).map((model) => ({ id: model.id, owner: peer.name, local: false }))
    );
  }

  /**
   * Lets the best candidate answer; tries the next one as long as no text has been shown.
   *
   * @throws {ArkError} `model_not_found` when nobody within reach has the model, else what the last candidate said.
   */
  async *infer(request: InferenceRequest, options: RouteOptions): AsyncGenerator<InferenceEvent> {
    const candidates = this.#candidates(request.model);
    if (candidates.length === 0) throw this.#notFound(request.model);
    let failure: ArkError | null = null;
    for (const [attempt, { backend, candidate, peer }] of candidates.entries()) {
      options.signal.throwIfAborted();
      let shown = false;
      try {
        for await (const event of backend.infer(request, options)) {
          if (!shown) options.chosen?.({ name: candidate.name, peer, attempt });
          shown = true;
          yield event;
        }
        return;
      } catch (error) {
        failure = toArkError(error);
        if (shown || options.signal.aborted || !TRY_NEXT.has(failure.code)) throw error;
        this.#options.logger.warn("A candidate did not answer, trying the next", {
          model: request.model,
          code: failure.code,
          reason: failure.message,
          ...(peer === null ? {} : { peer }),
        });
      }
    }
    throw failure ?? this.#notFound(request.model);
  }

  #candidates(model: ModelRef): { backend: Backend; candidate: Candidate; peer: NodeId | null }[] {
    const { local, table, remote } = this.#options;
    const found: { backend: Backend; candidate: Candidate; peer: NodeId | null }[] = [];
    if (local !== null && local.handles(model)) {
      const loaded = local.loaded().some(({ id }) => id === local.resolve(model));
      const candidate = { name: local.name, local: true, loaded, inFlight: 0, slots: 1, roundTripMs: 0 };
      found.push({ backend: local, candidate, peer: null });
    }
    for (const { view, model: offered } of table.offering(model)) {
      const backend = remote(view.peer.node_id);
      if (backend === null) continue;
      const candidate = {
        name: view.peer.name,
        local: false,
        loaded: offered.loaded,
        inFlight: view.inFlight,
        slots: view.offer?.max_concurrent_requests ?? 1,
        roundTripMs: view.roundTripMs ?? 1_000,
      };
      found.push({ backend, candidate, peer: view.peer.node_id });
    }
    const order = rank(found.map(({ candidate }) => candidate));
    return found.sort((a, b) => order.indexOf(a.candidate) - order.indexOf(b.candidate));
  }

  #notFound(model: ModelRef): ArkError {
    const names = [...new Set(this.available())];
    const shown = names.slice(0, 12).join(", ") + (names.length > 12 ? ` and ${names.length - 12} more` : "");
    const have = names.length === 0
      ? "no model is available: put a GGUF file into a folder of --models, or approve a peer that has one"
      : `available: ${shown}`;
    return new ArkError("model_not_found", `The model '${model}' is neither here nor at an approved peer within reach; ${have}`);
  }

  /** Ids of all models within reach. */
  available(): string[] {
    return this.models().map(({ id }) => id);
  }
}
