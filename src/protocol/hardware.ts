import { isCount } from "./count.ts";

/** What a node works with, as far as its owner lets others see it. Sizes in bytes. */
export interface Hardware {
  /** Memory for programs: all of it, and what is free; null where the node cannot tell. */
  memory: { total: number; free: number } | null;
  /** What models are computed on beside the CPU, with the memory there is for them; null where there is none, or not known. */
  gpu: { layer: GpuLayer; memory: number | null } | null;
}

/** How a GPU is used. */
export type GpuLayer = typeof GPU_LAYERS[number];

/** All ways to use a GPU. */
export const GPU_LAYERS = ["cuda", "vulkan", "metal"] as const;

/** A way to use a GPU, from any value; null for everything else. */
export function gpuLayer(value: unknown): GpuLayer | null {
  return GPU_LAYERS.find((layer) => layer === value) ?? null;
}

/** Reads {@linkcode Hardware} from any JSON value; null where it is none. It is a claim, and grants nothing. */
export function decodeHardware(value: unknown): Hardware | null {
  if (typeof value !== "object" || value === null) return null;
  const { memory, gpu } = value as Record<string, unknown>;
  const { total, free } = Object(memory) as Record<string, unknown>;
  const { layer, memory: own } = Object(gpu) as Record<string, unknown>;
  const known = gpuLayer(layer);
  return {
    memory: isCount(total) && isCount(free) ? { total, free: Math.min(total, free) } : null,
    gpu: known === null ? null : { layer: known, memory: isCount(own) ? own : null },
  };
}
