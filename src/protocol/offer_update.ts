import { ArkError } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import {
  decodeOfferedId,
  decodeOfferedModel,
  decodeOfferHead,
  type Offer,
  type OfferedModel,
  type OfferHead,
} from "./offer.ts";

/**
 * One frame of `GET /ark/v1/offers`: what has changed of an {@linkcode Offer}. The first one is `whole`. What is too much
 * for one frame follows in further ones, and counts when the last of them is there.
 */
export interface OfferUpdate {
  /** Whether everything of before is void. */
  whole?: true;
  /** The node's own part, where it changed. */
  node?: OfferHead;
  /** Models that are new or have changed. */
  models?: OfferedModel[];
  /** Ids of models that are gone. */
  gone?: string[];
  /** Whether the next frame belongs to the same change. */
  more?: true;
}

/** A frame of `GET /ark/v1/offers`: an update, or a sign of life. */
export type OfferFrame = { type: "update"; update: OfferUpdate } | { type: "alive" };

/** What one frame holds of models, in characters: half of what a frame may have in bytes, most of which are ASCII. */
const FRAME_CHARACTERS = LIMITS.eventBytes / 4;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true });

/** What has changed between two offers, as the frames that tell it; none where nothing has. Pure. */
export function offerUpdates(before: Offer | null, now: Offer): OfferUpdate[] {
  const { models, ...node } = now;
  const known = new Map(before?.models.map((model) => [model.id, model]));
  const changed = models.filter((model) => {
    const old = known.get(model.id);
    known.delete(model.id);
    return old === undefined || !same(old, model);
  });
  const updates = pieces(changed, (model) => JSON.stringify(model).length).map((models): OfferUpdate => ({ models }));
  updates.push(...pieces([...known.keys()], (id) => id.length + 3).map((gone): OfferUpdate => ({ gone })));
  const { models: _, ...old } = before ?? { models: [] };
  if (before === null || !same(old, node)) {
    if (updates.length === 0) updates.push({});
    updates[0] = { node, ...updates[0] };
  }
  if (before === null) updates[0] = { whole: true, ...updates[0] };
  return updates.map((update, index) => index < updates.length - 1 ? { ...update, more: true } : update);
}

/** Encodes one frame. */
export function encodeOfferUpdate(update: OfferUpdate): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(`event: ark-offer\ndata: ${JSON.stringify(update)}\n\n`);
}

/**
 * Reads one whole frame; unknown fields are dropped.
 *
 * @throws {ArkError} `unavailable` when it is no frame of the protocol.
 */
export function decodeOfferFrame(frame: Uint8Array): OfferFrame {
  if (frame.length > LIMITS.eventBytes) throw malformed();
  if (frame[0] === 58) return { type: "alive" };
  let value: unknown;
  try {
    const [, data] = DECODER.decode(frame).trimEnd().match(/^event: ark-offer\ndata: ([^\n]*)$/) ?? [];
    value = JSON.parse(data ?? "");
  } catch (error) {
    throw malformed(error);
  }
  if (typeof value !== "object" || value === null) throw malformed();
  const { whole, node, models, gone, more } = value as Partial<OfferUpdate>;
  return {
    type: "update",
    update: {
      ...whole === true ? { whole } : {},
      ...node === undefined ? {} : { node: decodeOfferHead(node) },
      ...models === undefined ? {} : { models: listOf(models, decodeOfferedModel) },
      ...gone === undefined ? {} : { gone: listOf(gone, decodeOfferedId) },
      ...more === true ? { more } : {},
    },
  };
}

/** Puts the frames of one stream together. It holds no more models than an offer may have, whatever is sent. */
export class OfferReader {
  readonly #models = new Map<string, OfferedModel>();
  #node: OfferHead | null = null;
  #list: OfferedModel[] | null = null;

  /**
   * Takes the next update; returns the offer as it is then, or null while more belongs to the same change.
   *
   * @throws {ArkError} `unavailable` when the first update is not a whole one.
   */
  take({ whole, node, models = [], gone = [], more }: OfferUpdate): Offer | null {
    if (whole) {
      this.#models.clear();
      this.#node = null;
      this.#list = null;
    }
    if (node !== undefined) this.#node = node;
    if (this.#node === null) throw malformed();
    if (models.length > 0 || gone.length > 0) this.#list = null;
    for (const id of gone) this.#models.delete(id);
    for (const model of models) {
      if (this.#models.has(model.id) || this.#models.size < LIMITS.offeredModels) this.#models.set(model.id, model);
    }
    if (more) return null;
    this.#list ??= [...this.#models.values()];
    return { ...this.#node, models: this.#list };
  }
}

/** Whether two say the same; a field that is absent is another than one that is there. */
function same(a: object, b: object): boolean {
  if (a === b) return true;
  const [left, right] = [Object.entries(a), b as Record<string, unknown>];
  return left.length === Object.keys(b).length && left.every(([name, value]) => {
    const other = right[name];
    return value === other || (typeof value === "object" && JSON.stringify(value) === JSON.stringify(other));
  });
}

/** Cuts a list into pieces that each fit into a frame. */
function pieces<T>(all: readonly T[], sizeOf: (one: T) => number): T[][] {
  const found: T[][] = [];
  let [piece, size]: [T[], number] = [[], 0];
  for (const one of all) {
    const more = sizeOf(one);
    if (piece.length > 0 && size + more > FRAME_CHARACTERS) {
      found.push(piece);
      [piece, size] = [[], 0];
    }
    piece.push(one);
    size += more;
  }
  if (piece.length > 0) found.push(piece);
  return found;
}

function listOf<T>(value: unknown, decode: (one: unknown) => T): T[] {
  if (!Array.isArray(value)) throw malformed();
  return value.slice(0, LIMITS.offeredModels).map(decode);
}

function malformed(cause?: unknown): ArkError {
  return new ArkError("unavailable", "The peer sent an offer that is not part of the protocol", { cause });
}
