import { ArkError, type InferenceEvent, type Usage } from "@ark/node/protocol";

/** Answers of an OpenAI-compatible server that come in one piece: vectors and scores. */
export interface UpstreamWholeOptions {
  /** Name of the server, for messages. */
  name: string;
  /** The model as the answer calls it. */
  model: string;
  /** How many texts or documents were sent: as many answers must come. */
  count: number;
}

/**
 * The vectors in an answer to `embeddings`, each brought to length 1.
 *
 * @throws {ArkError} `unavailable` where it is none.
 */
export function vectorsOf(body: unknown, options: UpstreamWholeOptions): InferenceEvent[] {
  const entries = listed(body, "data", options);
  const parts = entries.map((entry): InferenceEvent => {
    const { index, embedding } = entry as { index?: unknown; embedding?: unknown };
    if (!isIndex(index, options) || !Array.isArray(embedding) || embedding.length === 0) throw nonsense(options);
    const vector = Float32Array.from(embedding, Number);
    const length = Math.hypot(...vector);
    if (!Number.isFinite(length) || length === 0) throw nonsense(options);
    // Float32Array is little-endian on every machine that Deno runs on.
    const values = new Uint8Array(vector.map((value) => value / length).buffer).toBase64();
    return { type: "vector", index, values };
  });
  return whole(parts, body, options);
}

/**
 * The scores in an answer to `rerank`, in the shape of Jina.
 *
 * @throws {ArkError} `unavailable` where it is none.
 */
export function scoresOf(body: unknown, options: UpstreamWholeOptions): InferenceEvent[] {
  const entries = listed(body, "results", options);
  const parts = entries.map((entry): InferenceEvent => {
    const { index, relevance_score } = entry as { index?: unknown; relevance_score?: unknown };
    if (!isIndex(index, options) || typeof relevance_score !== "number") throw nonsense(options);
    // Some servers give the model's raw number, which has no bounds.
    const bounded = relevance_score >= 0 && relevance_score <= 1;
    return { type: "score", index, score: bounded ? relevance_score : 1 / (1 + Math.exp(-relevance_score)) };
  });
  return whole(parts, body, options);
}

function listed(body: unknown, field: string, options: UpstreamWholeOptions): unknown[] {
  const entries = (body as Record<string, unknown> | null)?.[field];
  if (!Array.isArray(entries) || entries.length !== options.count) throw nonsense(options);
  const objects = entries.filter((entry) => typeof entry === "object" && entry !== null);
  if (objects.length < entries.length) throw nonsense(options);
  return objects;
}

function whole(parts: InferenceEvent[], body: unknown, { model }: UpstreamWholeOptions): InferenceEvent[] {
  const usage = usageOf(body);
  const timings = { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 };
  return [
    { type: "start", model, digest: null, prompt_tokens: usage.prompt_tokens },
    ...parts,
    { type: "end", finish_reason: "stop", usage, timings },
  ];
}

function usageOf(body: unknown): Usage {
  const usage = (body as { usage?: { prompt_tokens?: unknown; total_tokens?: unknown } } | null)?.usage;
  const tokens = usage?.prompt_tokens ?? usage?.total_tokens;
  return {
    prompt_tokens: Number.isSafeInteger(tokens) && (tokens as number) >= 0 ? tokens as number : 0,
    completion_tokens: 0,
  };
}

function isIndex(value: unknown, { count }: UpstreamWholeOptions): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < count;
}

function nonsense({ name }: UpstreamWholeOptions): ArkError {
  return new ArkError("unavailable", `${name} sent what is not part of OpenAI's API`);
}
