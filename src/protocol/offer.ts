import { type Capability, decodeCapabilities } from "./capability.ts";
import { isCount } from "./count.ts";
import { ArkError } from "./errors.ts";
import { decodeHardware, type Hardware } from "./hardware.ts";
import { LIMITS } from "./limits.ts";
import { decodeModelRef } from "./decode_request.ts";

/** One model that a node offers to the peer that asked. */
export interface OfferedModel {
  /** `name:tag`, as the offering node calls it. */
  id: string;
  /** SHA-256 of the file in hex, or null while it is not known yet. */
  digest: string | null;
  /** Size of the file in bytes. */
  size: number;
  /** Tokens of context that a request may use. */
  context_length: number;
  /** Size label such as `8b`, or null. */
  parameters: string | null;
  /** Quantisation such as `q4_0`, or null. */
  quantization: string | null;
  /** Whether it is in memory now. */
  loaded: boolean;
  /** What it can do; absent where the node does not say. */
  capabilities?: Capability[];
  /** Family, such as `llama`; absent where the node does not say. */
  family?: string;
  /** When it was changed last, RFC 3339 in UTC; absent where the node does not say. */
  modified_at?: string;
  /** How long it took to load when it was measured last, in milliseconds; absent until it was. */
  load_ms?: number;
  /** Tokens of a prompt that it reads in a second, measured; absent until it was. */
  prompt_rate?: number;
  /** Tokens that it writes in a second for one answer, measured; absent until it was. */
  generation_rate?: number;
  /** Requests of peers that it answers at once; absent where the node does not say. */
  slots?: number;
  /** Requests of this peer that it would begin at once; absent where the node does not say. */
  free_slots?: number;
  /** Requests that wait for it, whoever sent them; absent where the node does not say. */
  queued?: number;
}

/**
 * How a node stands towards a peer.
 *
 * | state | meaning |
 * |---|---|
 * | `ready` | it takes work, and begins it as soon as a slot is free |
 * | `busy` | it takes work, which waits until its owner's own is done |
 * | `draining` | it takes no work: it stops |
 * | `yielding` | it takes no work: its owner needs the machine, or shares nothing now |
 * | `thrashing` | it takes no work: it has too little memory |
 */
export type OfferState = "ready" | "busy" | "draining" | "yielding" | "thrashing";

const OFFER_STATES: readonly OfferState[] = ["ready", "busy", "draining", "yielding", "thrashing"];

/** What a node offers *to the peer that asked*: nothing that this peer may not use is in it. */
export interface Offer {
  /** Name of the node, a label for people. */
  name: string;
  /** Whether the node takes work now: in the states `ready` and `busy`. */
  ready: boolean;
  /** How it stands, more exactly; absent where the node does not say. */
  state?: OfferState;
  /** Requests of this peer that may run at once. */
  max_concurrent_requests: number;
  /** What the node works with; absent where its owner does not show it. */
  hardware?: Hardware;
  /** Requests of this peer that it had admitted when it said so; absent where the node does not say. */
  yours?: number;
  /** Requests of this peer that would begin at once, with the model that has most room; absent where it does not say. */
  free_slots?: number;
  /** Requests that wait for the models below, whoever sent them; absent where the node does not say. */
  queued?: number;
  /** Models that this peer may ask. */
  models: OfferedModel[];
}

/** The node's own part of an {@linkcode Offer}, without the models. */
export type OfferHead = Omit<Offer, "models">;

/**
 * Reads an {@linkcode Offer} from any JSON value; unknown fields are dropped, and numbers that no node can mean are cut
 * down.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodeOffer(value: unknown): Offer {
  const offer = value as Partial<Offer> | null;
  if (typeof offer !== "object" || offer === null || !Array.isArray(offer.models)) throw malformed();
  return {
    ...decodeOfferHead(offer),
    models: offer.models.slice(0, LIMITS.offeredModels).map(decodeOfferedModel),
  };
}

/**
 * Reads the part of an {@linkcode Offer} that is about the node itself.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodeOfferHead(value: unknown): OfferHead {
  const offer = value as Partial<OfferHead> | null;
  if (typeof offer !== "object" || offer === null) throw malformed();
  const state = OFFER_STATES.find((one) => one === offer.state);
  const takesWork = state === undefined || state === "ready" || state === "busy";
  const ready = offer.ready === true && takesWork;
  const hardware = decodeHardware(offer.hardware);
  return {
    name: label(offer.name),
    ready,
    // What contradicts itself says nothing.
    ...state === undefined || takesWork !== ready ? {} : { state },
    max_concurrent_requests: natural(offer.max_concurrent_requests),
    ...hardware === null ? {} : { hardware },
    ...counted("yours", offer.yours, MOST_REQUESTS),
    ...counted("free_slots", offer.free_slots, MOST_REQUESTS),
    ...counted("queued", offer.queued, MOST_REQUESTS),
  };
}

/**
 * Reads one model of an offer; unknown fields are dropped.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodeOfferedModel(value: unknown): OfferedModel {
  const model = value as Partial<OfferedModel> | null;
  if (typeof model !== "object" || model === null) throw malformed();
  return {
    id: decodeOfferedId(model.id),
    digest: typeof model.digest === "string" && /^[0-9a-f]{64}$/.test(model.digest) ? model.digest : null,
    size: natural(model.size),
    context_length: natural(model.context_length),
    parameters: typeof model.parameters === "string" ? label(model.parameters) : null,
    quantization: typeof model.quantization === "string" ? label(model.quantization) : null,
    loaded: model.loaded === true,
    ...Array.isArray(model.capabilities) ? { capabilities: decodeCapabilities(model.capabilities) } : {},
    ...typeof model.family === "string" ? { family: label(model.family) } : {},
    ...isTime(model.modified_at) ? { modified_at: model.modified_at } : {},
    ...measured("load_ms", model.load_ms, MOST_LOAD_MS),
    ...measured("prompt_rate", model.prompt_rate, MOST_RATE),
    ...measured("generation_rate", model.generation_rate, MOST_RATE),
    ...counted("slots", model.slots, MOST_REQUESTS),
    ...counted("free_slots", model.free_slots, MOST_REQUESTS),
    ...counted("queued", model.queued, MOST_REQUESTS),
  };
}

/**
 * Reads the id of a model in an offer.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodeOfferedId(value: unknown): string {
  try {
    return decodeModelRef(value);
  } catch (error) {
    throw malformed(error);
  }
}

/** No machine has more requests than this, nor slots. */
const MOST_REQUESTS = 10_000;
/** No machine reads or writes more tokens in a second. */
const MOST_RATE = 1e6;
/** Nobody waits longer for a model. */
const MOST_LOAD_MS = 3_600_000;

function counted<Name extends string>(name: Name, value: unknown, most: number): { [name in Name]?: number } {
  return isCount(value) ? { [name]: Math.min(value, most) } as { [name in Name]?: number } : {};
}

function measured<Name extends string>(name: Name, value: unknown, most: number): { [name in Name]?: number } {
  return typeof value === "number" && value > 0 && Number.isFinite(value)
    ? { [name]: Math.min(value, most) } as { [name in Name]?: number }
    : {};
}

function isTime(value: unknown): value is string {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) &&
    !Number.isNaN(Date.parse(value));
}

/** Cleans a name that another node chose: NFC, printable, at most 64 characters. */
export function label(value: unknown): string {
  if (typeof value !== "string") return "";
  const printable = value.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "").normalize("NFC");
  return [...printable].slice(0, LIMITS.nameLength).join("").trim();
}

function natural(value: unknown): number {
  return isCount(value) ? value : 0;
}

function malformed(cause?: unknown): ArkError {
  return new ArkError("unavailable", "The peer sent an offer that is not part of the protocol", { cause });
}
