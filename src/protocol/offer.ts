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
}

/** What a node offers *to the peer that asked*: nothing that this peer may not use is in it. */
export interface Offer {
  /** Name of the node, a label for people. */
  name: string;
  /** Whether the node takes work now. */
  ready: boolean;
  /** Requests of this peer that may run at once. */
  max_concurrent_requests: number;
  /** What the node works with; absent where its owner does not show it. */
  hardware?: Hardware;
  /** Models that this peer may ask. */
  models: OfferedModel[];
}

/**
 * Reads an {@linkcode Offer} from any JSON value; unknown fields are dropped.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodeOffer(value: unknown): Offer {
  const offer = value as Partial<Offer> | null;
  if (typeof offer !== "object" || offer === null || !Array.isArray(offer.models)) throw malformed();
  const hardware = decodeHardware(offer.hardware);
  return {
    name: label(offer.name),
    ready: offer.ready === true,
    max_concurrent_requests: natural(offer.max_concurrent_requests),
    ...hardware === null ? {} : { hardware },
    models: offer.models.slice(0, LIMITS.offeredModels).map(decodeOfferedModel),
  };
}

function decodeOfferedModel(value: unknown): OfferedModel {
  const model = value as Partial<OfferedModel> | null;
  if (typeof model !== "object" || model === null) throw malformed();
  return {
    id: modelId(model.id),
    digest: typeof model.digest === "string" && /^[0-9a-f]{64}$/.test(model.digest) ? model.digest : null,
    size: natural(model.size),
    context_length: natural(model.context_length),
    parameters: typeof model.parameters === "string" ? label(model.parameters) : null,
    quantization: typeof model.quantization === "string" ? label(model.quantization) : null,
    loaded: model.loaded === true,
    ...Array.isArray(model.capabilities) ? { capabilities: decodeCapabilities(model.capabilities) } : {},
    ...typeof model.family === "string" ? { family: label(model.family) } : {},
    ...isTime(model.modified_at) ? { modified_at: model.modified_at } : {},
  };
}

function isTime(value: unknown): value is string {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) &&
    !Number.isNaN(Date.parse(value));
}

function modelId(value: unknown): string {
  try {
    return decodeModelRef(value);
  } catch (error) {
    throw malformed(error);
  }
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
