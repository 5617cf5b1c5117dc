import type { LocalModel } from "@ark/node/models";
import type { ModelTask } from "./worker/engine.ts";

/** What an engine's process takes beside its model, in bytes: Deno and llama.cpp's buffers for computing. */
const PROCESS_BYTES = 160 << 20;
/**
 * State of a token in one layer, in bytes: keys and values of 8 heads of 128 numbers of 16 bits, as models from 1 to 70
 * billion parameters have it. Small models and those that compress their state take less.
 */
const STATE_BYTES = 4_096;
/** Layers where the file does not say. */
const LAYERS = 32;
/** Context without which a model is of no use, in tokens. */
const LEAST_CONTEXT = 512;

/** How a model is to be loaded. */
export interface MemoryWish {
  /** What for. */
  task: ModelTask;
  /** Requests at once. */
  slots: number;
  /** Most tokens of context for each. */
  contextSize: number;
}

type Sizes = Pick<LocalModel, "size" | "blockCount" | "contextLength">;

/**
 * What a model will take in memory, in bytes: its file, the state of each slot's context and the process. An estimate
 * that is rather too large; what the engine says once it is loaded takes its place.
 */
export function modelBytes(model: Sizes, { task, slots, contextSize }: MemoryWish): number {
  return model.size + PROCESS_BYTES + stateBytes(model, contextSize) * (task === "generate" ? slots : 1);
}

/** What a model cannot do without, in bytes. */
export function leastModelBytes(model: Pick<LocalModel, "size" | "blockCount" | "contextLength">): number {
  return model.size + PROCESS_BYTES + stateBytes(model, LEAST_CONTEXT);
}

/** As many slots as fit, at least one. */
export function slotsWithin(model: Sizes, { bytes, ...wish }: MemoryWish & { bytes: number }): number {
  for (let { slots } = wish; slots > 1; slots--) {
    if (modelBytes(model, { ...wish, slots }) <= bytes) return slots;
  }
  return 1;
}

/** A number of bytes for people, such as `4.7 GB`. */
export function sizeText(bytes: number): string {
  return bytes < 1e9
    ? `${Math.max(1, Math.round(bytes / 1e6))} MB`
    : `${(bytes / 1e9).toFixed(bytes < 1e11 ? 1 : 0)} GB`;
}

function stateBytes({ blockCount, contextLength }: Sizes, contextSize: number): number {
  const tokens = contextLength > 0 ? Math.min(contextSize, contextLength) : contextSize;
  return tokens * (blockCount || LAYERS) * STATE_BYTES;
}
