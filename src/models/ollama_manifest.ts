import type { GenerationParameters } from "@ark/node/protocol";
import { decodeGenerationParameters } from "@ark/node/protocol";

/** Largest manifest, and largest layer that is read whole, in bytes. */
export const OLLAMA_TEXT_BYTES = 1 << 20;

/** Longest template or system message that is kept, in characters. */
const KEPT_CHARACTERS = 128 << 10;

/** Kinds of layers that are read, by what stands behind `application/vnd.ollama.image.`. */
export type OllamaLayerKind = "model" | "adapter" | "projector" | "template" | "system" | "params" | "license";

/** A blob of a model in Ollama's store or registry. */
export interface OllamaLayer {
  /** What is in it. */
  readonly kind: OllamaLayerKind;
  /** SHA-256 in hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

const MEDIA_REGEXP = /^application\/vnd\.ollama\.image\.(model|adapter|projector|template|system|params|license)$/;
const MOST_LAYERS = 256;

/**
 * Reads a manifest of Ollama's store or registry. Digests are nothing but 64 hexadecimal digits afterwards, so that a path
 * can be made of them; layers of other kinds are dropped.
 *
 * @throws {SyntaxError} with one sentence.
 */
export function parseOllamaManifest(text: string): OllamaLayer[] {
  const manifest = parseJson(text) as { layers?: unknown } | null;
  const layers = manifest?.layers;
  if (!Array.isArray(layers) || layers.length > MOST_LAYERS) {
    throw new SyntaxError("The manifest has no list of layers");
  }
  return layers.flatMap((layer: { mediaType?: unknown; digest?: unknown; size?: unknown } | null) => {
    const kind = MEDIA_REGEXP.exec(String(layer?.mediaType))?.[1] as OllamaLayerKind | undefined;
    if (kind === undefined) return [];
    const sha256 = /^sha256[:-]([0-9a-f]{64})$/.exec(String(layer?.digest))?.[1];
    const size = layer?.size;
    if (sha256 === undefined) throw new SyntaxError("The manifest names a layer by something that is no SHA-256");
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
      throw new SyntaxError("The manifest does not state how long a layer is");
    }
    return [{ kind, sha256, size }];
  });
}

/** What our parameters are called in Ollama's; what is not here, such as `num_ctx`, is the node's to decide. */
const NAMES: Readonly<Record<string, Exclude<keyof GenerationParameters, "stop">>> = {
  num_predict: "max_tokens",
  temperature: "temperature",
  top_p: "top_p",
  top_k: "top_k",
  min_p: "min_p",
  typical_p: "typical_p",
  seed: "seed",
  repeat_penalty: "repeat_penalty",
  repeat_last_n: "repeat_last_n",
  presence_penalty: "presence_penalty",
  frequency_penalty: "frequency_penalty",
};

const MOST_STOPS = 16;

/**
 * Reads the layer of parameters: what a request may say, too, and lies within its limits; anything else is left out, as no
 * single value is a reason to lose the model.
 */
export function ollamaDefaults(text: string): GenerationParameters {
  let given: Record<string, unknown>;
  try {
    given = Object(parseJson(text));
  } catch {
    return {};
  }
  const defaults: Record<string, unknown> = {};
  for (const [theirs, ours] of Object.entries(NAMES)) {
    if (Object.hasOwn(given, theirs) && isAcceptable({ [ours]: given[theirs] })) defaults[ours] = given[theirs];
  }
  const stops = [given.stop ?? []].flat().filter((stop) => isAcceptable({ stop: [stop] })).slice(0, MOST_STOPS);
  return decodeGenerationParameters(stops.length === 0 ? defaults : { ...defaults, stop: stops });
}

/** A text that is kept with a model, or null where it is empty or too long. */
export function keptText(text: string | null): string | null {
  return text === null || text.trim() === "" || text.length > KEPT_CHARACTERS ? null : text;
}

function isAcceptable(parameters: unknown): boolean {
  try {
    decodeGenerationParameters(parameters);
    return true;
  } catch {
    return false;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SyntaxError("It is not JSON");
  }
}
