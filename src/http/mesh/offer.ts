import { type ApprovedPeer, sharesModel } from "@ark/node/peers";
import type { Offer } from "@ark/node/protocol";
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
}

/** What a node offers to one peer: models that this peer may ask, and none of the others. */
export function offerFor({ permissions }: ApprovedPeer, { name, ready, contextSize, models, loaded }: Stock): Offer {
  const shared = permissions.can_request_inference
    ? models.filter(({ id }) => sharesModel(permissions.models_shared, id))
    : [];
  return {
    name,
    ready,
    max_concurrent_requests: permissions.max_concurrent_requests,
    models: shared.map(({ id, digest, size, contextLength, parameters, quantization }) => ({
      id,
      digest,
      size,
      context_length: Math.min(contextLength || contextSize, contextSize),
      parameters,
      quantization,
      loaded: loaded.has(id),
    })),
  };
}
