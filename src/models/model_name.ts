import type { GgufHeader } from "./gguf_header.ts";
import { fileTypeName } from "./tensor_type.ts";

/** What a model is called, and the labels that its name is made of. */
export interface ModelName {
  /** The part before the colon, such as `llama-3.1`. */
  name: string;
  /** The part after the colon, such as `8b-instruct-q4_k_m`. */
  tag: string;
  /** Size label such as `8b`, or null. */
  parameters: string | null;
  /** Quantisation such as `q4_k_m`, or null. */
  quantization: string | null;
}

const PART_LENGTH = 64;
const QUANTIZATION_REGEXP = /[-_.]((?:i?q|tq)[1-8](?:_[01]|_k(?:_[sml])?|_(?:xxs|xs|s|m|nl))?|b?f16|f32|mxfp4|nvfp4)$/;
const SIZE_REGEXP = /[-_]((?:\d+x)?\d+(?:\.\d+)?[kmbt](?:-a\d+(?:\.\d+)?b)?)(?=$|[-_])/;

/**
 * Names a model `name:tag` by its metadata (`general.basename` or `general.name`, `general.size_label`,
 * `general.finetune`, `general.file_type`), and by its file's name where the metadata say nothing. Whatever the file
 * says, the result consists of `a-z 0-9 . _ -` and is short: anyone can write anything into a file.
 */
export function modelName(header: Pick<GgufHeader, "metadata" | "elementsByType">, stem: string): ModelName {
  const parts = split(text(header, "basename") || text(header, "name") || slug(stem));
  const parameters = text(header, "size_label") || parts.size;
  const quantization = quantizationOf(header);
  const tag = [parameters, text(header, "finetune") || parts.rest, quantization].filter(Boolean).join("-");
  return {
    name: parts.name || "model",
    tag: tag || "latest",
    parameters: parameters || null,
    quantization: quantization || null,
  };
}

/** Takes `name-size-rest-quantisation` apart; what is not there is empty. */
function split(label: string): { name: string; size: string; rest: string } {
  const plain = label.replace(QUANTIZATION_REGEXP, "");
  const size = SIZE_REGEXP.exec(plain);
  if (size === null) return { name: plain, size: "", rest: "" };
  const rest = plain.slice(size.index + size[0].length).replace(/^[-_]+/, "");
  return { name: plain.slice(0, size.index), size: size[1] ?? "", rest };
}

function quantizationOf({ metadata, elementsByType }: Pick<GgufHeader, "metadata" | "elementsByType">): string {
  const fileType = metadata.get("general.file_type");
  const named = typeof fileType === "number" ? fileTypeName(fileType) : undefined;
  if (named !== undefined) return named;
  const [most] = [...elementsByType].sort((a, b) => b[1] - a[1]);
  return most?.[0] ?? "";
}

function text({ metadata }: Pick<GgufHeader, "metadata">, key: string): string {
  const value = metadata.get(`general.${key}`);
  return typeof value === "string" ? slug(value) : "";
}

function slug(label: string): string {
  const plain = label.normalize("NFKC").toLowerCase().replaceAll(/[^a-z0-9._]+/g, "-");
  return plain.slice(0, PART_LENGTH).replaceAll(/^[-._]+|[-._]+$/g, "");
}
