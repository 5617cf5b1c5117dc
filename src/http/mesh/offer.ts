import type { Occupancy } from "@ark/node/inference";
import { type ApprovedPeer, sharesModel } from "@ark/node/peers";
import type { Hardware, Offer, OfferedModel } from "@ark/node/protocol";
import type { MeasuredSpeeds, SharedModel } from "@ark/node/routing";

/** What a node has, before it is cut down to what one peer may use. */
export interface Stock {
  /** Label of the node. */
  name: string;
  /** Whether it takes work now. */
  ready: boolean;
  /** Whether it takes none because it stops. */
  stopping?: boolean;
  /** Most tokens of context that a request may use. */
  contextSize: number;
  /** All its models. */
  models: readonly SharedModel[];
  /** Ids of those in memory. */
  loaded: ReadonlySet<string>;
  /** What it works with, or null where its owner does not show it. */
  hardware?: Hardware | null;
  /** How much room there is for the work of peers, where that is known. */
  occupancy?: Occupancy;
  /** How fast its models are, where that is measured. */
  speeds?: ReadonlyMap<string, MeasuredSpeeds>;
}

/** How one peer stands with the gate. */
export interface PeerClaims {
  /** Requests of it that run now. */
  held: number;
  /** Whether a limit over time keeps it from asking now. */
  mustWait: boolean;
  /** Whether the node works for no peer now, because of what its owner does or said. */
  yields?: boolean;
}

/** What a node offers to one peer: models that this peer may ask, and none of the others, nor anything about them. */
export function offerFor({ permissions }: ApprovedPeer, stock: Stock, claims?: PeerClaims): Offer {
  const { name, models, hardware = null } = stock;
  const yields = claims?.yields === true;
  const ready = stock.ready && !yields;
  const shared = permissions.can_request_inference
    ? models.filter(({ id }) => sharesModel(permissions.models_shared, id))
    : [];
  const most = permissions.max_concurrent_requests;
  const left = claims === undefined ? most : claims.mustWait || !ready ? 0 : Math.max(0, most - claims.held);
  const offered = shared.map((model) => offeredModel(model, { stock, left }));
  return {
    name,
    ready,
    ...claims === undefined
      ? {}
      : { state: stock.ready && yields ? yieldingState(shared.length) : stateOf(stock, shared.length) },
    max_concurrent_requests: most,
    ...hardware === null ? {} : { hardware },
    ...claims === undefined ? {} : { yours: claims.held },
    ...stock.occupancy === undefined || shared.length === 0 ? {} : {
      free_slots: offered.reduce((free, model) => Math.max(free, model.free_slots ?? 0), 0),
      queued: offered.reduce((sum, { queued = 0 }) => sum + queued, 0),
    },
    models: offered,
  };
}

/** Whoever may use no model is told nothing about what goes on here, but whether the node is there for peers at all. */
function stateOf({ ready, stopping = false, occupancy }: Stock, shared: number): NonNullable<Offer["state"]> {
  if (!ready) return stopping || shared === 0 ? "draining" : "thrashing";
  return shared > 0 && occupancy?.ownersTurn ? "busy" : "ready";
}

/** The reason is the owner's own business. */
function yieldingState(shared: number): NonNullable<Offer["state"]> {
  return shared === 0 ? "draining" : "yielding";
}

function offeredModel(model: SharedModel, { stock, left }: { stock: Stock; left: number }): OfferedModel {
  const { contextSize, loaded, occupancy, speeds } = stock;
  const { loadMs = null, promptRate = null, generationRate = null } = speeds?.get(model.id) ?? {};
  return {
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
    ...loadMs === null ? {} : { load_ms: rounded(loadMs) },
    ...promptRate === null ? {} : { prompt_rate: rounded(promptRate) },
    ...generationRate === null ? {} : { generation_rate: rounded(generationRate) },
    ...occupancy === undefined ? {} : roomOf(model.id, { occupancy, left, loaded: loaded.has(model.id) }),
  };
}

/** Of a server behind this node, whose models are always there, nothing is known. */
function roomOf(
  id: string,
  { occupancy, left, loaded }: { occupancy: Occupancy; left: number; loaded: boolean },
): Pick<OfferedModel, "slots" | "free_slots" | "queued"> {
  const room = occupancy.models.get(id);
  if (room === undefined && loaded) return {};
  const { slots, free, queued } = room ?? { slots: occupancy.coldSlots, free: occupancy.coldSlots, queued: 0 };
  return { slots, free_slots: Math.min(free, left), queued };
}

/** Two digits: enough to choose by, and not a new number after each answer. */
function rounded(value: number): number {
  return Number(value.toPrecision(2));
}
