import type { LocalBackend } from "@ark/node/inference";
import type { ModelCatalogue } from "@ark/node/models";
import { decodeModelRef } from "@ark/node/protocol";
import type { PeerTable, Router } from "@ark/node/routing";
import { type WhyModel, whyModel } from "./why_model.ts";

/** What the explanation of a route needs. */
export interface ModelWhyOptions {
  /** This node's label. */
  name: string;
  /** Ranks those who could answer. */
  router: Pick<Router, "explain"> & Partial<Pick<Router, "asleepWith">>;
  /** This node's own models, or null. */
  engine: {
    /** Says why a model cannot run. */
    backend: Pick<LocalBackend, "failure">;
    /** Knows which there are. */
    catalogue: Pick<ModelCatalogue, "find">;
  } | null;
  /** What the peers offer. */
  table: Pick<PeerTable, "list">;
}

/**
 * The answer of `GET /api/v1/why?model=…`. Nobody is asked for it.
 *
 * @throws {ArkError} `bad_request` where no model is named.
 */
export function whyAnswer(asked: string | undefined, { name, router, engine, table }: ModelWhyOptions): WhyModel {
  const model = decodeModelRef(asked);
  return whyModel({
    model,
    candidates: router.explain(model),
    asleep: router.asleepWith?.(model)?.name ?? null,
    here: {
      name,
      engine: engine !== null,
      model: engine?.catalogue.find(model) !== undefined,
      failure: engine?.backend.failure(model) ?? null,
    },
    peers: table.list().map(({ peer, state }) => ({ id: peer.node_id, name: peer.name, state })),
  });
}
