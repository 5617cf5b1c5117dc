import type { LocalModel } from "@ark/node/models";
import type { ArkError, ModelRef } from "@ark/node/protocol";
import type { Failures } from "./failures.ts";
import type { Job } from "./job.ts";
import type { LocalBackendOptions } from "./local_options.ts";
import type { MemoryReading } from "./memory_reader.ts";
import { modelBytes, slotsWithin } from "./model_memory.ts";
import { Resident } from "./resident.ts";
import type { Room } from "./schedule.ts";
import type { WorkerStarter } from "./worker_starter.ts";

/** What {@linkcode Residents} needs beside the options of its backend. */
export interface ResidentsOptions {
  /** As the backend was given them. */
  options: LocalBackendOptions;
  /** Makes workers. */
  starter: WorkerStarter;
  /** Models that failed. */
  failures: Failures;
  /** Called when a model is in memory, with how long that took. */
  loaded(model: LocalModel, ms: number): void;
  /** Called when a model came, went, or has a free slot more. */
  changed(): void;
  /** Called when a model could not be loaded, or its worker failed: with all who wait for it where it never loaded. */
  failed(resident: Resident, error: ArkError): void;
}

/** Slots where the owner does not say: more make a CPU hardly faster, and each takes memory of its own. */
export const DEFAULT_SLOTS = 4;
const KEEP_ALIVE_MS = 300_000;
/** What of a machine's memory is left to everything else. */
const MARGIN = 0.05;

/** The models in memory, and on their way in and out. */
export class Residents {
  readonly #needs: ResidentsOptions;
  readonly #options: LocalBackendOptions;
  readonly #all = new Set<Resident>();
  /** Memory of the GPU for models, as the last one that was loaded told it. */
  #vramBytes: number | null = null;
  #reading: MemoryReading | null = null;

  /** Makes it without any model. */
  constructor(needs: ResidentsOptions) {
    this.#needs = needs;
    this.#options = needs.options;
  }

  /** All of them. */
  list(): Resident[] {
    return [...this.#all];
  }

  /** The one that is there for a job, or on its way in. */
  find(key: string): Resident | undefined {
    return this.#all.values().find((each) => each.key === key && each.phase !== "leaving");
  }

  /** Takes how memory stands. */
  note(reading: MemoryReading): void {
    this.#reading = reading;
  }

  /** How many models there may be, and how much memory for all of them together. */
  get room(): Room {
    return { maxLoaded: this.#options.maxLoaded ?? 4, bytes: this.#bytesForModels() };
  }

  /** What a model would like to have, in bytes. */
  wishOf({ model, task }: Pick<Job, "model" | "task">): number {
    const { contextSize = 8_192, slots = 1 } = this.#options;
    return modelBytes(model, { task, slots, contextSize });
  }

  /** Brings a model into memory. */
  load(
    { key, model, task, priority, keepAliveMs: wish }: Pick<Job, "key" | "model" | "task" | "priority" | "keepAliveMs">,
  ): void {
    const { contextSize = 8_192, keepAliveMs = KEEP_ALIVE_MS } = this.#options;
    const held = this.list().reduce((sum, { state }) => sum + state.bytes, 0);
    const most = { task, slots: DEFAULT_SLOTS, contextSize, bytes: this.room.bytes - held };
    const slots = this.#options.slots ?? slotsWithin(model, most);
    const worker = this.#needs.starter.make({
      model,
      task,
      slots,
      progress: (fraction) => {
        resident.fraction = fraction;
        // The end is told once all of it is there.
        if (fraction < 1) this.#options.loadProgress?.(model.id, fraction);
      },
    });
    const resident = new Resident({
      key,
      model,
      task,
      worker,
      bytes: modelBytes(model, { task, slots, contextSize }),
      keepAliveMs,
      pinned: this.isPinned(model),
      expired: () => {
        this.#options.logger?.info("Unloading a model that nobody used", { model: model.id });
        resident.leave();
        this.#needs.changed();
      },
    });
    resident.use({ priority, keepAliveMs: wish });
    this.#all.add(resident);
    resident.done = this.#live(resident);
  }

  /** Sends a model away. */
  evict(key: string): void {
    const resident = this.find(key);
    if (resident === undefined) return;
    this.#options.logger?.info("Unloading a model to make room", { model: resident.model.id });
    resident.leave();
  }

  /** Whether the owner wants a model never to leave. */
  isPinned({ id }: Pick<LocalModel, "id">): boolean {
    const { pinned = [], catalogue } = this.#options;
    return pinned.some((ref: ModelRef) => catalogue.find(ref)?.id === id);
  }

  /** The life of one worker, from its start to its end. */
  async #live(resident: Resident): Promise<void> {
    const { worker, stop, model, key } = resident;
    const { failures, loaded, changed, failed } = this.#needs;
    const running = worker.run(stop.signal);
    try {
      const engine = await Promise.race([worker.ready, running.then(() => undefined)]);
      if (engine !== undefined && resident.phase === "loading") {
        resident.loaded(engine);
        this.#noteVram(resident);
        const { loadBegan, loadedAt } = resident.times;
        const fields = { model: model.id, pid: worker.pid, ms: loadedAt - loadBegan, version: engine.engine };
        this.#options.logger?.info("Loaded a model", { ...fields, count: engine.threads });
        this.#options.loadProgress?.(model.id, 1);
        loaded(model, loadedAt - loadBegan);
        changed();
      }
      await running;
    } catch (error) {
      // One that was told to go has not failed, whatever its last word was.
      if (!stop.signal.aborted) {
        const count = failures.add(key, { error: error as ArkError, loaded: resident.wasLoaded });
        const { message: reason } = error as ArkError;
        this.#options.logger?.warn("A model's engine failed", { model: model.id, reason, count });
        failed(resident, error as ArkError);
      }
    }
    resident.gone();
    this.#all.delete(resident);
    changed();
  }

  /** Memory of the GPU for models, in bytes; null where there is none, or none was loaded there yet. */
  get gpuMemory(): number | null {
    return this.#vramBytes;
  }

  #noteVram({ engine }: Resident): void {
    if (engine?.vram_free === undefined) return;
    this.#vramBytes = engine.vram_free + this.list().reduce((sum, each) => sum + (each.engine?.vram_bytes ?? 0), 0);
  }

  /**
   * On a CPU: what the machine has, less what others use. Models that are read from their files count as free for the
   * system, so that neither of what it says and what we reckon is right alone; the smaller one holds. On a GPU: what
   * the engine found there. Where nothing is known, there is no limit but the number of models.
   */
  #bytesForModels(): number {
    const onGpu = this.#needs.starter.gpu ?? this.list().some(({ engine }) => (engine?.gpu ?? null) !== null);
    if (onGpu) return this.#vramBytes ?? Infinity;
    const { totalBytes = null, availableBytes = null } = this.#reading ?? {};
    if (totalBytes === null || availableBytes === null) return Infinity;
    const all = this.list().map((each) => each.state);
    const held = all.reduce((sum, { bytes }) => sum + bytes, 0);
    const coming = all.reduce((sum, { bytes, phase }) => sum + (phase === "loading" ? bytes : 0), 0);
    return Math.min(availableBytes - coming + held, totalBytes) - totalBytes * MARGIN;
  }
}
