import {
  type ErrorCode,
  type FinishReason,
  type GenerationParameters,
  type InferenceInput,
  isErrorCode,
  type Usage,
} from "@ark/node/protocol";
import type { EngineLoad, EngineModel } from "./engine.ts";

/** Which compute layer the engine may use; `auto` takes the best there is, down to the CPU. */
export type GpuChoice = "auto" | "off" | "cuda" | "vulkan" | "metal";

/**
 * What the node tells its worker. One worker has one model, and answers one request at a time.
 *
 * | type | when | answer |
 * |---|---|---|
 * | `load` | once, first | `loaded`, or `failed` |
 * | `generate` | after `loaded`, while no other runs | `start`, any number of `text`, `end`; or `error` at any point |
 * | `cancel` | while the request runs | `error` with code `cancelled`, or the `end` that was on its way |
 *
 * The end of the worker's standard input is the order to exit, so that a worker never outlives its node.
 */
export type NodeMessage =
  | ({ type: "load" } & EngineLoad)
  | {
    type: "generate";
    /** Number of the request. */
    id: number;
    /** What the model reads. */
    input: InferenceInput;
    /** How it writes. */
    parameters: GenerationParameters;
    /** Whether the state of the request before may be used: it was the same principal's. */
    reuse: boolean;
  }
  | { type: "cancel"; id: number };

/**
 * What the worker tells its node.
 *
 * | type | when |
 * |---|---|
 * | `hello` | once, as soon as the process reads |
 * | `loaded` | the model is in memory |
 * | `failed` | the model could not be loaded; the worker is of no use |
 * | `start` | the prompt is in tokens and fits |
 * | `text` | some tokens, as text; a token is never kept back except for an unfinished character or stop text |
 * | `end` | the answer is complete |
 * | `error` | the request ended otherwise |
 */
export type WorkerMessage =
  | { type: "hello"; protocol: number; barrier: string[] }
  | ({ type: "loaded" } & EngineModel)
  | { type: "failed"; message: string }
  | { type: "start"; id: number; prompt_tokens: number }
  | { type: "text"; id: number; text: string; tokens: number }
  | {
    type: "end";
    id: number;
    finish_reason: FinishReason;
    usage: Usage;
    reused_tokens: number;
    prompt_ms: number;
    generation_ms: number;
  }
  | { type: "error"; id: number; code: ErrorCode; message: string };

/** Version of the messages. Node and worker are the same program; this only catches a wrong command. */
export const WORKER_PROTOCOL = 1;

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
      case "loaded":
        return decodeLoaded(message);
      case "failed":
        return { type: "failed", message: sentence(message.message) };
      case "start":
        if (count(id) && count(message.prompt_tokens)) {
          return { type: "start", id, prompt_tokens: message.prompt_tokens };
        }
        break;
      case "text":
        if (count(id) && typeof message.text === "string" && count(message.tokens)) {
          return { type: "text", id, text: message.text, tokens: message.tokens };
        }
        break;
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
  const { context_size, threads, gpu, engine } = message;
  if (!count(context_size) || !count(threads) || typeof engine !== "string") throw malformed();
  return {
    type: "loaded",
    context_size,
    threads,
    gpu: typeof gpu === "string" ? sentence(gpu) : null,
    engine: sentence(engine),
  };
}

function decodeEnd(message: Record<string, unknown>): WorkerMessage {
  const { id, finish_reason, reused_tokens, prompt_ms, generation_ms } = message;
  const usage = message.usage as Partial<Usage> | null | undefined;
  if (
    !count(id) || (finish_reason !== "stop" && finish_reason !== "length") || !count(usage?.prompt_tokens) ||
    !count(usage.completion_tokens) || !count(reused_tokens) || !duration(prompt_ms) || !duration(generation_ms)
  ) throw malformed();
  const { prompt_tokens, completion_tokens } = usage;
  return {
    type: "end",
    id,
    finish_reason,
    usage: { prompt_tokens, completion_tokens },
    reused_tokens,
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
