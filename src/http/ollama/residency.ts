import { ArkError, type ModelRef } from "@ark/node/protocol";
import { type ListedModel, modelNamed } from "./model_views.ts";
import type { ModelKeeper } from "./model_keeper.ts";

/** A model that a client named, among those that it may use. */
export interface NamedModel {
  /** As lists have it. */
  readonly model: ListedModel;
  /** Whether it is this node's own. */
  readonly here: boolean;
}

/**
 * The model that a client means.
 *
 * @throws {ArkError} `model_not_found`, also where the sender may not use it.
 */
export function namedModel(
  name: ModelRef,
  from: { models: readonly ListedModel[]; keeper: ModelKeeper | null },
): NamedModel {
  const { models, keeper } = from;
  const own = keeper?.find(name) ?? null;
  const model = own === null ? modelNamed(models, name) : models.find(({ id, local }) => local && id === own);
  if (model !== undefined) return { model, here: model.local };
  throw new ArkError("model_not_found", `The model '${name}' was not found: GET /api/tags lists those within reach`);
}

/** What is to be done with a model when nothing is asked of it. */
export interface ResidencyOrder {
  /** The model. */
  named: NamedModel;
  /** 0 takes it out of memory; else how long it stays there unused, undefined being as the owner set it. */
  keepAliveMs: number | null | undefined;
  /** Aborts when the client goes away. */
  signal: AbortSignal;
}

/**
 * Brings a model into memory, or takes it out of it; gives the word for what was done. A model that is elsewhere is its
 * owner's to load: there is nothing to do then, and the first question loads it.
 *
 * @throws {ArkError} what the loading failed with.
 */
export async function settleResidency(
  { named, keepAliveMs, signal }: ResidencyOrder,
  keeper: ModelKeeper | null,
): Promise<"load" | "unload"> {
  const reason = keepAliveMs === 0 ? "unload" : "load";
  if (!named.here || keeper === null) return reason;
  const { id } = named.model;
  if (reason === "unload") await keeper.unload(id);
  else await keeper.load(id, { signal, ...keepAliveMs === undefined ? {} : { keepAliveMs } });
  return reason;
}
