import type { LocalModel } from "@ark/node/models";
import type { ModelRef } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { MemoryReading } from "./memory_reader.ts";
import type { EngineChoice, LoraFile, ModelTask } from "./worker/engine.ts";
import type { GpuChoice } from "./worker/messages.ts";
import type { WorkerProgram } from "./worker_program.ts";
import type { WorkerTimes } from "./worker_times.ts";

/** Options of {@linkcode LocalBackend}. */
export interface LocalBackendOptions {
  /** Finds models by what people call them, and looks at one again before it is loaded. */
  catalogue: { find(ref: ModelRef): LocalModel | undefined; check?(model: LocalModel): Promise<void> };
  /** The program and its arguments that end up in `runWorker()`, or how to start it with as little as it needs. */
  workerCommand: readonly string[] | WorkerProgram;
  /** Added to the worker's environment, which is otherwise a few variables of the node's own. */
  workerEnvironment?: Readonly<Record<string, string>>;
  /** Name for people and logs. @default {"local"} */
  name?: string;
  /** Threads of each worker; without it they fit model and machine. */
  threads?: number;
  /** Compute layer. @default {"auto"} */
  gpu?: GpuChoice;
  /** Which implementation of the engine. @default {"auto"} */
  engine?: EngineChoice;
  /** Additions to models that the owner's requests may name. @default {[]} */
  loras?: readonly LoraFile[];
  /** Memory of the GPU that stays free, in bytes; without it the engine keeps a margin of its own. */
  vramReserve?: number;
  /** Most tokens of context. @default {8192} */
  contextSize?: number;
  /** Answers that a model writes at once; without it up to 4, as many as memory has room for. An engine may take fewer. */
  slots?: number;
  /** Most models in memory at once; there may be fewer where memory has no room for them. @default {4} */
  maxLoaded?: number;
  /** Most requests that wait. @default {64} */
  maxQueued?: number;
  /** How long a model stays that nobody uses, in milliseconds; null is for ever. @default {300000} */
  keepAliveMs?: number | null;
  /** Models that are loaded by {@linkcode LocalBackend.run}. @default {[]} */
  preload?: readonly ModelRef[];
  /** Models that are loaded by {@linkcode LocalBackend.run}, and never leave to make room. @default {[]} */
  pinned?: readonly ModelRef[];
  /** Reads how memory stands. The default reads what the system says. */
  memory?: () => Promise<MemoryReading>;
  /** How often that is done, in milliseconds. @default {2000} */
  watchMs?: number;
  /** How long workers may take. */
  workerTimes?: Partial<WorkerTimes>;
  /** Told how far a model's loading has come, from 0 to 1: at most once for each hundredth, and once at its end. */
  loadProgress?: (model: string, fraction: number) => void;
  /** Hears of models that come, go and fail. */
  logger?: Pick<Logger, "debug" | "info" | "warn">;
}

/** A model in memory, for status and offers. */
export interface LoadedModel {
  /** `name:tag`. */
  id: string;
  /** What it is loaded for: a model may be in memory once for each. */
  task: ModelTask;
  /** Process id of its worker. */
  pid: number;
  /** When it was in memory, in milliseconds since 1970. */
  since: number;
  /** When it leaves unless it is used again, in milliseconds since 1970; null where it stays. */
  expiresAt: number | null;
  /** Tokens of context that a request may use. */
  contextSize: number;
  /** Compute layer such as `cuda`, or null for the CPU. */
  gpu: string | null;
  /** Memory that it takes, in bytes, that of the GPU included: as its engine says, else an estimate. */
  bytes: number;
  /** What of it is memory of the GPU, in bytes; 0 where that is not known. */
  vramBytes: number;
  /** What the system keeps from the worker beside Deno's permissions: any of `network`, `data` and `readonly`. */
  barrier: readonly string[];
  /** Answers that it can write at once. */
  slots: number;
  /** Answers that it writes now. */
  running: number;
  /** Whether it writes any answer now. */
  busy: boolean;
  /** Whether the owner wants it never to leave. */
  pinned: boolean;
}

/** A model on its way into memory. */
export interface LoadingModel {
  /** `name:tag`. */
  id: string;
  /** What for. */
  task: ModelTask;
  /** How much of it is there, 0 to 1, as far as its engine says. */
  fraction: number;
}

/** How much a backend has to do, now. */
export interface LocalQueue {
  /** Answers that are written. */
  running: number;
  /** Requests that wait. */
  waiting: number;
  /** Answers that can be written at once by the models in memory; 1 where there is none. */
  slots: number;
  /** How many answers for peers could begin at once with these models, without making anybody wait. */
  freeForPeers: number;
}

/** How a model is loaded by {@linkcode LocalBackend.load}. */
export interface LoadOptions {
  /** How long it stays when nobody uses it, in milliseconds; null is for ever. The default leaves it as it is. */
  keepAliveMs?: number | null;
  /** What for; without it what the model can do: to write, where it can. */
  task?: ModelTask;
  /** Gives up waiting; a load that has begun goes on. */
  signal?: AbortSignal;
}
