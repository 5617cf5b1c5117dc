import type { LocalModel } from "@ark/node/models";
import { ArkError } from "@ark/node/protocol";
import { type ProbedEngine, probeEngine } from "./engine_probe.ts";
import type { LocalBackendOptions } from "./local_options.ts";
import { readMemory } from "./memory_reader.ts";
import { leastModelBytes, sizeText } from "./model_memory.ts";
import type { ModelTask } from "./worker/engine.ts";
import { ownEnvironment, workerEnvironment } from "./worker_environment.ts";
import { WorkerProcess, type WorkerStart } from "./worker_process.ts";
import type { WorkerProgram } from "./worker_program.ts";

/** Which model a worker is to run, and how. */
export interface WorkerWish {
  /** The model. */
  model: LocalModel;
  /** What for. */
  task: ModelTask;
  /** Requests at once. */
  slots: number;
  /** Hears how far the loading has come. */
  progress(fraction: number): void;
}

/** Makes workers: finds out once which engine works here, and says how each is started. */
export class WorkerStarter {
  readonly #options: LocalBackendOptions;
  readonly #ending: AbortSignal;
  #probing: Promise<ProbedEngine> | undefined;
  #probed: ProbedEngine | null = null;

  /** Makes a starter that has not looked yet. `ending` ends the looking. */
  constructor(options: LocalBackendOptions, ending: AbortSignal) {
    this.#options = options;
    this.#ending = ending;
  }

  /** Whether models are computed by a GPU: null while that is not known. */
  get gpu(): boolean | null {
    if (this.#options.gpu === "off") return false;
    return this.#probed === null ? null : this.#probed.binding.gpu !== false;
  }

  /** Looks which engine works here before the first request wants it, where that takes a process of its own. */
  warmUp(): void {
    const { workerCommand } = this.#options;
    if ("probe" in workerCommand) this.#probe(workerCommand).catch(() => {});
  }

  /** Makes a worker that is not started yet. */
  make(wish: WorkerWish): WorkerProcess {
    const { logger, workerTimes } = this.#options;
    return new WorkerProcess({
      prepare: () => this.#prepare(wish),
      environment: this.#environment(),
      logger,
      progress: (fraction) => wish.progress(fraction),
      times: workerTimes ?? {},
    });
  }

  /** Waits until nothing is looked for any more. */
  async settled(): Promise<void> {
    await this.#probing?.catch(() => {});
  }

  /** How the worker of a model is started. */
  async #prepare({ model, task, slots }: WorkerWish): Promise<WorkerStart> {
    const { path, parameterCount } = model;
    await this.#options.catalogue.check?.(model);
    const { workerCommand, threads = null, gpu = "auto", vramReserve = null, contextSize = 8_192 } = this.#options;
    const { binding, barrier } = "probe" in workerCommand
      ? await this.#probe(workerCommand)
      : { binding: null, barrier: false };
    const files = [...model.files, ...this.#options.loras?.map((lora) => lora.path) ?? []];
    if (this.gpu === false) await this.#refuseTooLarge(model);
    return {
      command: "probe" in workerCommand ? workerCommand.worker({ files, barrier }) : workerCommand,
      load: {
        binding,
        path,
        parameters: parameterCount,
        context_size: contextSize,
        threads,
        gpu,
        vram_reserve: vramReserve,
        task,
        slots,
        engine: this.#options.engine ?? "auto",
        loras: this.#options.loras ?? [],
      },
    };
  }

  /** A model that is larger than the memory would be read from the disk again for each token. */
  async #refuseTooLarge(model: LocalModel): Promise<void> {
    const { totalBytes } = await (this.#options.memory ?? readMemory)();
    const least = leastModelBytes(model);
    if (totalBytes === null || least <= totalBytes) return;
    throw new ArkError("engine_failed", tooLarge(model, { least, has: totalBytes }));
  }

  /** Looks which engine works here: once for all workers, and again where it failed. */
  #probe(program: WorkerProgram): Promise<ProbedEngine> {
    if (this.#probing === undefined) {
      const { gpu = "auto", logger } = this.#options;
      const options = { program, gpu, environment: this.#environment(), logger, signal: this.#ending };
      this.#probing = probeEngine(options);
      this.#probing.then((probed) => this.#probed = probed, () => this.#probing = undefined);
    }
    return this.#probing;
  }

  #environment(): Record<string, string> {
    return workerEnvironment(ownEnvironment(), this.#options.workerEnvironment);
  }
}

/** Why a model has no place in this machine. */
export function tooLarge({ id }: LocalModel, { least, has }: { least: number; has: number }): string {
  return `The model ${id} needs about ${sizeText(least)} of memory, and this machine has ${sizeText(has)} for it: ` +
    "choose a smaller one, or one with fewer bits for each weight";
}
