import { decodeModelRef, LIMITS } from "@ark/node/protocol";

/** A model of an upstream server. */
export interface UpstreamModel {
  /** As the server calls it. */
  readonly id: string;
  /** Size in bytes, or 0 where the server does not say. */
  readonly size: number;
  /** Tokens of context, or 0 where the server does not say. */
  readonly context_length: number;
  /** Size label such as `8b`, or null. */
  readonly parameters: string | null;
  /** Quantisation such as `q4_0`, or null. */
  readonly quantization: string | null;
}

/** The models in an answer to `GET /v1/models`; what makes no sense is left out. Null where it is no such answer. */
export function openaiModels(body: unknown): UpstreamModel[] | null {
  return modelsOf((body as { data?: unknown } | null)?.data, (entry) => {
    const meta = (entry.meta ?? {}) as Record<string, unknown>;
    return {
      id: entry.id,
      size: natural(meta.size),
      // vLLM, llama.cpp and LiteLLM each have a name of their own for it.
      context_length: natural(entry.max_model_len) || natural(meta.n_ctx) || natural(entry.context_length),
      parameters: null,
      quantization: null,
    };
  });
}

/** The models in an answer to Ollama's `GET /api/tags`. Null where it is no such answer. */
export function ollamaModels(body: unknown): UpstreamModel[] | null {
  return modelsOf((body as { models?: unknown } | null)?.models, (entry) => {
    const details = (entry.details ?? {}) as Record<string, unknown>;
    return {
      id: entry.name ?? entry.model,
      size: natural(entry.size),
      context_length: 0,
      parameters: word(details.parameter_size),
      quantization: word(details.quantization_level),
    };
  });
}

type Loose = Omit<UpstreamModel, "id"> & { id: unknown };

function modelsOf(list: unknown, read: (entry: Record<string, unknown>) => Loose): UpstreamModel[] | null {
  if (!Array.isArray(list)) return null;
  const found = new Map<string, UpstreamModel>();
  for (const entry of list.slice(0, LIMITS.offeredModels)) {
    if (typeof entry !== "object" || entry === null) continue;
    const model = read(entry);
    const id = idOf(model.id);
    if (id !== null && !found.has(id)) found.set(id, { ...model, id });
  }
  return [...found.values()];
}

function idOf(value: unknown): string | null {
  try {
    return decodeModelRef(value);
  } catch {
    return null;
  }
}

function natural(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) > 0 ? value as number : 0;
}

function word(value: unknown): string | null {
  return typeof value === "string" && /^[\w.-]{1,32}$/.test(value) ? value.toLowerCase() : null;
}
