import { isCount } from "./count.ts";
import { decodeModelRef } from "./decode_request.ts";
import { ArkError } from "./errors.ts";
import type { AnswerPart, FinishReason, InferenceEvent, TokenChance, TokenLogprob, Usage } from "./inference.ts";
import { LIMITS } from "./limits.ts";
import { isTokenIds } from "./token_ids.ts";

/** Float32 values in base64: whole groups of four bytes need no more than this, and it is checked where they are read. */
const BASE64_REGEXP = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * Reads one event of a peer's stream. Strict in what it keeps: fields that are not part of the type are dropped, so a
 * peer cannot add to what the local client sees.
 *
 * @throws {ArkError} `unavailable`: a peer that sends nonsense is a peer that cannot answer.
 */
export function decodeInferenceEvent(value: unknown): InferenceEvent {
  if (typeof value === "object" && value !== null) {
    const event = value as Record<string, unknown>;
    if (event.type === "start") {
      if (isModelRef(event.model) && isDigestOrNone(event.digest) && isCount(event.prompt_tokens)) {
        const { model, digest, prompt_tokens, prompt_ids } = event;
        const ids = isTokenIds(prompt_ids) ? { prompt_ids } : {};
        return { type: "start", model, digest: digest ?? null, prompt_tokens, ...ids };
      }
    } else if (event.type === "end") return decodeEnd(event);
    const part = decodeAnswerPart(event);
    if (part !== null) return part;
  }
  throw new ArkError("unavailable", "The peer sent an event that is not part of the protocol");
}

/** Reads a part of an answer, or null where it is none; fields that are not part of the type are dropped. */
export function decodeAnswerPart(event: Readonly<Record<string, unknown>>): AnswerPart | null {
  const { type, text, tokens, index } = event;
  const ids = event.ids === undefined ? {} : decodeIds(event.ids);
  if (ids === null) return null;
  switch (type) {
    case "text": {
      if (typeof text !== "string" || !isCount(tokens)) return null;
      if (event.logprobs === undefined) return { type, text, tokens, ...ids };
      const logprobs = decodeLogprobs(event.logprobs);
      return logprobs === null ? null : { type, text, tokens, logprobs, ...ids };
    }
    case "reasoning":
      return typeof text === "string" && isCount(tokens) ? { type, text, tokens, ...ids } : null;
    case "tool_arguments":
      return isIndex(index) && typeof text === "string" && isCount(tokens)
        ? { type, index, text, tokens, ...ids }
        : null;
    case "tool_call": {
      const { id, name } = event;
      const sound = isIndex(index) && isCount(tokens) && typeof id === "string" && /^[\x21-\x7e]{1,64}$/.test(id) &&
        typeof name === "string" && name !== "" && name.length <= LIMITS.modelRefLength;
      return sound ? { type, index, id, name, tokens, ...ids } : null;
    }
    case "vector": {
      const { values } = event;
      const sound = isIndex(index) && typeof values === "string" && values.length <= LIMITS.eventBytes &&
        values.length % 4 === 0 && BASE64_REGEXP.test(values);
      return sound ? { type, index, values } : null;
    }
    case "score": {
      const { score } = event;
      return isIndex(index) && typeof score === "number" && score >= 0 && score <= 1 ? { type, index, score } : null;
    }
  }
  return null;
}

/** Whether a value says why an answer ended. */
export function isFinishReason(value: unknown): value is FinishReason {
  return value === "stop" || value === "length" || value === "tool_calls";
}

/** Reads what a request used, or null where it is nonsense. */
export function decodeUsage(value: unknown): Usage | null {
  if (typeof value !== "object" || value === null) return null;
  const { prompt_tokens, completion_tokens, cached_tokens } = value as Partial<Usage>;
  if (!isCount(prompt_tokens) || !isCount(completion_tokens)) return null;
  const cached = isCount(cached_tokens) && cached_tokens <= prompt_tokens ? { cached_tokens } : {};
  return { prompt_tokens, completion_tokens, ...cached };
}

function decodeEnd(event: Record<string, unknown>): InferenceEvent {
  const usage = decodeUsage(event.usage);
  const timings = event.timings as Record<string, unknown> | null | undefined;
  const { finish_reason, stop_text } = event;
  if (!isFinishReason(finish_reason) || usage === null) {
    throw new ArkError("unavailable", "The peer sent an end of stream that is not part of the protocol");
  }
  return {
    type: "end",
    finish_reason,
    ...typeof stop_text === "string" && stop_text.length <= LIMITS.stopLength ? { stop_text } : {},
    usage,
    timings: {
      queue_ms: duration(timings?.queue_ms),
      load_ms: duration(timings?.load_ms),
      prompt_ms: duration(timings?.prompt_ms),
      generation_ms: duration(timings?.generation_ms),
    },
  };
}

function decodeIds(value: unknown): { ids: number[] } | null {
  const sound = Array.isArray(value) && value.length <= LIMITS.partIds &&
    value.every((id) => isCount(id) && id < 2 ** 31);
  return sound ? { ids: [...value] } : null;
}

function decodeLogprobs(value: unknown): TokenLogprob[] | null {
  if (!Array.isArray(value)) return null;
  const read: TokenLogprob[] = [];
  for (const each of value) {
    const chance = decodeChance(each);
    const top = (each as { top?: unknown } | null)?.top;
    if (chance === null || !Array.isArray(top) || top.length > LIMITS.topLogprobs) return null;
    const others = top.map(decodeChance).filter((other) => other !== null);
    if (others.length < top.length) return null;
    read.push({ ...chance, top: others });
  }
  return read;
}

function decodeChance(value: unknown): TokenChance | null {
  if (typeof value !== "object" || value === null) return null;
  const { token, bytes, logprob } = value as Partial<TokenChance>;
  const sound = typeof token === "string" && typeof logprob === "number" && logprob <= 0 && Array.isArray(bytes) &&
    bytes.every((byte) => isCount(byte) && byte < 256);
  return sound ? { token, bytes: [...bytes], logprob } : null;
}

function isIndex(value: unknown): value is number {
  return isCount(value) && value < LIMITS.rerankDocuments;
}

function isModelRef(value: unknown): value is string {
  try {
    decodeModelRef(value);
    return true;
  } catch {
    return false;
  }
}

/** Whether a value is a SHA-256 in hex, or absent. */
function isDigestOrNone(value: unknown): value is string | null | undefined {
  return value === null || value === undefined || (typeof value === "string" && /^[0-9a-f]{64}$/.test(value));
}

function duration(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}
