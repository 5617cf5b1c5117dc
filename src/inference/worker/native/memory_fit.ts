import type { Llama } from "node-llama-cpp";

/** The smallest context that is worth having. */
const LEAST_CONTEXT = 256;

/** How much of a model and of its context fits the memory, as node-llama-cpp reckons from the file's header. */
export interface MemoryFit {
  /** Layers that the GPU takes. */
  gpuLayers: number;
  /** The context that fits once the model is loaded: of each slot, and how many slots. */
  context(most: number, slots: number): Promise<{ contextSize: number; slots: number }>;
}

/** Looks how a model fits. The margin of the GPU's memory that is to stay free is that of `llama`. */
export async function fitMemory(llama: Llama, path: string): Promise<MemoryFit> {
  const { readGgufFileInfo, GgufInsights } = await import("node-llama-cpp");
  const info = await readGgufFileInfo(path, { sourceType: "filesystem" });
  const insights = await GgufInsights.from(info, llama);
  const resolver = insights.configurationResolver;
  const { gpuLayers } = llama.gpu === false ? { gpuLayers: 0 } : await resolver.resolveModelGpuLayersV2("auto");
  return {
    gpuLayers,
    async context(most, slots) {
      const max = Math.max(2, most);
      const fitting = (sequences: number) =>
        resolver.resolveContextContextSize({ min: Math.min(LEAST_CONTEXT, max), max }, {
          modelGpuLayers: gpuLayers,
          modelTrainContextSize: max,
          sequences,
        });
      // Fewer slots rather than a shorter context: a request that does not fit can never be answered.
      for (let count = slots; count > 1; count = Math.floor(count / 2)) {
        const contextSize = await fitting(count).catch(() => 0);
        if (contextSize >= max) return { contextSize: max, slots: count };
      }
      return { contextSize: Math.min(max, await fitting(1)), slots: 1 };
    },
  };
}
