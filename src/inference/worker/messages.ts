import {
  type AnswerPart,
  decodeAnswerPart,
  decodeUsage,
  type ErrorCode,
  isErrorCode,
  isFinishReason,
  isTokenIds,
  type TokenIds,
} from "@ark/node/protocol";
import type { EngineLoad, EngineModel, EngineRequest, EngineResult } from "./engine.ts";

/** Which compute layer the engine may use; `auto` takes the best there is, down to the CPU. */
export type GpuChoice = "auto" | "off" | "cuda" | "vulkan" | "metal";

/**
 * What the node tells its worker. One worker has one model, and answers as many requests at once as it
 * said to have slots when it had loaded.
 *
 * | type | when | answer |
 * |---|---|---|
 * | `load` | once, first | any number of `progress`, then `loaded`; or `failed` |
 * | `generate` | after `loaded`, while a slot is free | `start`, any number of `part`, `end`; or `error` at any point |
 * | `cancel` | while the request runs | `error` with code `cancelled`, or the `end` that was on its way |
 *
 * The end of the worker's standard input is the order to exit, so that a worker never outlives its node.
 */
export type NodeMessage =
  | ({ type: "load" } & EngineLoad)
  | ({
    type: "generate";
    /** Number of the request. */
    id: number;
  } & EngineRequest)
  | { type: "cancel"; id: number };

/**
 * What the worker tells its node.
 *
 * | type | when |
 * |---|---|
 * | `hello` | once, as soon as the process reads |
 * | `progress` | so much of the model is in memory |
 * | `loaded` | the model is in memory |
 * | `failed` | the model could not be loaded; the worker is of no use |
 * | `start` | the prompt is in tokens and fits; with their ids, where those are wanted |
 * | `part` | some of the answer; a token is never kept back except for an unfinished character, stop text or call |
 * | `end` | the answer is complete |
 * | `error` | the request ended otherwise |
 */
export type WorkerMessage =
  | { type: "hello"; protocol: number; barrier: string[] }
  | { type: "progress"; fraction: number }
  | ({ type: "loaded" } & EngineModel)
  | { type: "failed"; message: string }
  | { type: "start"; id: number; prompt_tokens: number; prompt_ids?: TokenIds }
  | { type: "part"; id: number; part: AnswerPart }
  | ({ type: "end"; id: number } & EngineResult)
  | { type: "error"; id: number; code: ErrorCode; message: string };

/** Version of the messages. Node and worker are the same program; this only catches a wrong command. */
export const WORKER_PROTOCOL = 2;

/** Longest sentence that a worker may send. */
const SENTENCE_LENGTH = 400;

/**
 * Reads what a worker says. A worker parses files of strangers in C++, so the node takes nothing from it on trust.
 *
 * @throws {SyntaxError} on anything that is not a {@linkcode WorkerMessage}.
 */
export function decodeWorkerMessage(value: unknown): WorkerMessage {
  if (typeof value === "object" && value !== null) {
    const message = value as Record<string, unknown>;
    const { id } = message;
    switch (message.type) {
      case "hello":
        if (count(message.protocol) && Array.isArray(message.barrier)) {
          const barrier = message.barrier.slice(0, 8).map(sentence);
          return { type: "hello", protocol: message.protocol, barrier };
        }
        break;
      case "progress":
        if (duration(message.fraction)) return { type: "progress", fraction: Math.min(1, message.fraction) };
        break;
      case "loaded":
        return decodeLoaded(message);
      case "failed":
        return { type: "failed", message: sentence(message.message) };
      case "start":
        if (count(id) && count(message.prompt_tokens)) {
          const { prompt_tokens, prompt_ids } = message;
          if (prompt_ids === undefined) return { type: "start", id, prompt_tokens };
          if (isTokenIds(prompt_ids)) return { type: "start", id, prompt_tokens, prompt_ids };
        }
        break;
      case "part": {
        const part = typeof message.part === "object" && message.part !== null
          ? decodeAnswerPart(message.part as Record<string, unknown>)
          : null;
        if (count(id) && part !== null) return { type: "part", id, part };
        break;
      }
      case "end":
        return decodeEnd(message);
      case "error":
        if (count(id) && isErrorCode(message.code)) {
          return { type: "error", id, code: message.code, message: sentence(message.message) };
        }
    }
  }
  throw malformed();
}

function decodeLoaded(message: Record<string, unknown>): WorkerMessage {
  const { context_size, threads, gpu, engine, slots } = message;
  if (!count(context_size) || !count(threads) || typeof engine !== "string" || !count(slots) || slots < 1) {
    throw malformed();
  }
  return {
    type: "loaded",
    context_size,
    threads,
    gpu: typeof gpu === "string" ? sentence(gpu) : null,
    engine: sentence(engine),
    slots,
    ...amount("bytes", message),
    ...amount("vram_bytes", message),
    ...amount("vram_free", message),
  };
}

/** A number of bytes where the engine tells one. */
function amount<N extends string>(name: N, message: Record<string, unknown>): { [K in N]?: number } {
  const value = message[name];
  if (value === undefined) return {};
  if (!count(value)) throw malformed();
  return { [name]: value } as { [K in N]?: number };
}

function decodeEnd(message: Record<string, unknown>): WorkerMessage {
  const { id, finish_reason, stop_text, prompt_ms, generation_ms } = message;
  const usage = decodeUsage(message.usage);
  if (
    !count(id) || !isFinishReason(finish_reason) || usage === null || !duration(prompt_ms) || !duration(generation_ms)
  ) throw malformed();
  return {
    type: "end",
    id,
    finish_reason,
    ...typeof stop_text === "string" ? { stop_text } : {},
    usage: { cached_tokens: 0, ...usage },
    prompt_ms,
    generation_ms,
  };
}

function count(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function duration(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function sentence(value: unknown): string {
  if (typeof value !== "string") throw malformed();
  return value.replaceAll(/\p{C}+/gu, " ").slice(0, SENTENCE_LENGTH).trim();
}

function malformed(): SyntaxError {
  return new SyntaxError("A message of the worker is not part of its protocol");
}
