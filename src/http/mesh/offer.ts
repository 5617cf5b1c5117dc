import { type ApprovedPeer, sharesModel } from "@ark/node/peers";
import type { Hardware, Offer } from "@ark/node/protocol";
import type { SharedModel } from "@ark/node/routing";

/** What a node has, before it is cut down to what one peer may use. */
export interface Stock {
  /** Label of the node. */
  name: string;
  /** Whether it takes work now. */
  ready: boolean;
  /** Most tokens of context that a request may use. */
  contextSize: number;
  /** All its models. */
  models: readonly SharedModel[];
  /** Ids of those in memory. */
  loaded: ReadonlySet<string>;
  /** What it works with, or null where its owner does not show it. */
  hardware?: Hardware | null;
}

/** What a node offers to one peer: models that this peer may ask, and none of the others. */
export function offerFor({ permissions }: ApprovedPeer, stock: Stock): Offer {
  const { name, ready, contextSize, models, loaded, hardware = null } = stock;
  const shared = permissions.can_request_inference
    ? models.filter(({ id }) => sharesModel(permissions.models_shared, id))
    : [];
  return {
    name,
    ready,
    max_concurrent_requests: permissions.max_concurrent_requests,
    ...hardware === null ? {} : { hardware },
    models: shared.map((model) => ({
      id: model.id,
      digest: model.digest,
      size: model.size,
      context_length: Math.min(model.contextLength || contextSize, contextSize),
      parameters: model.parameters,
      quantization: model.quantization,
      loaded: loaded.has(model.id),
      ...model.capabilities === undefined ? {} : { capabilities: [...model.capabilities] },
      ...model.family === undefined ? {} : { family: model.family },
      ...model.modifiedAt === undefined ? {} : { modified_at: new Date(model.modifiedAt).toISOString() },
    })),
  };
}
