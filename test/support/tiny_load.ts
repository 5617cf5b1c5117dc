import type { EngineLoad } from "@ark/node/inference";

/** How the tests load the tiny model of the fixtures: on one thread, since threads of so small a model only wait. */
export const TINY_LOAD: EngineLoad = {
  binding: null,
  path: "test/fixtures/arkling-9m-q4_0.gguf",
  parameters: 9e6,
  context_size: 512,
  threads: 1,
  gpu: "off",
  vram_reserve: null,
  task: "generate",
  slots: 1,
  engine: "addon",
  loras: [],
};
