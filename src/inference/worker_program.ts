import type { EngineBinding } from "./worker/engine.ts";
import type { GpuChoice } from "./worker/messages.ts";

/** How a worker is started that may do as little as its work needs. Each command is a program and its arguments. */
export interface WorkerProgram {
  /**
   * Command that looks which build of the engine works here, without any model: it prints an
   * {@linkcode EngineBinding} as JSON on one line, and exits. With a binding it looks whether that one works.
   */
  probe(options: { gpu: GpuChoice; binding: EngineBinding | null; barrier: boolean }): readonly string[];
  /** Command that ends up in `runWorker()`, and may read the files of one model. */
  worker(options: { files: readonly string[]; barrier: boolean }): readonly string[];
}
