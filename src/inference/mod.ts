/**
 * Runs prompts: what a {@linkcode Backend} is, and the one that runs the models of this node.
 *
 * Promises of {@linkcode LocalBackend}:
 * - The engine runs in a child process per model, which dies with its node however the node ends. A crash fails the
 *   request that ran, with `engine_failed`; the next one gets a new process. A file that cannot be loaded is one clear
 *   sentence, and not tried again at once.
 * - A model answers as many requests at once as its engine has slots. The owner's requests go before those of peers; the
 *   last slot of a model that has two or more is the owner's alone, and where all are taken, the youngest answer for a
 *   peer is set aside and goes on afterwards. The line is bounded: who finds it full gets `busy`, with the place that it
 *   would have and the time until its turn, except that the owner takes the place of the last peer.
 *   Where the native engine computes on a CPU, a step of peers' answers that takes long is broken off for the owner.
 * - A model stays for its keep-alive after its last use, which the owner's requests may change and peers cannot. Models
 *   that were used least recently make room for others, by number and by memory; those at work do not, nor pinned ones,
 *   nor for a peer one that the owner used within its keep-alive.
 * - An engine of which nothing is heard for too long while it reads a prompt or writes an answer is ended: all its
 *   requests fail with `engine_failed`, and the next one gets a new process.
 * - While the machine thrashes ({@linkcode LocalBackend.run} watches over that) the work of peers is refused, and what
 *   they alone used leaves memory; what was begun goes on, and the owner is served as ever.
 * - State of a prompt is never shared between principals: where the request before was another principal's, the
 *   engine erases its state before it reads the prompt.
 * - Leaving the loop or aborting the signal ends the work within a token, or within a batch while the prompt is read,
 *   and the slot comes back on every path.
 * - An answer is whole characters, never half of one, and stop texts are not part of it. Each token goes out as soon
 *   as it is there; texts that a slow reader did not take yet are joined.
 * - The same seed and parameters lead to the same text on the same machine and engine.
 * - An answer can be gone on with from its tokens, on this node or another one with the same weights: in the midst of
 *   thoughts, of a call or of a document, no part doubled and none lost. The random numbers of what follows are decided by
 *   the seed and the number of tokens written before. So go on the answers of peers that were set aside.
 * - The text of a chat message cannot become a control token of the model; a raw prompt can hold them.
 * - Text of prompts and answers is in no log and in no error.
 *
 * - A worker that is started by a {@linkcode WorkerProgram} has as few permissions as its work needs, and gives up the
 *   rest once its model is loaded. Which build of the engine fits is found out before, by a process that sees no model.
 * - A chat template is a program from the model's file. It can call nothing, and one that does not end costs its worker.
 * - The header of a file is read again right before the engine gets it, so that it never gets one which was refused.
 *
 * - {@linkcode Prewarmer} loads what the owner's hours say will be asked for next, into memory that is free, while nobody
 *   asks for anything. It sends nothing away, and peers teach it nothing but those that the owner calls own.
 *
 * Not promised: that an engine stays within its memory: what a model takes is an estimate until its engine tells.
 *
 * {@linkcode runWorker} is the main of the child process.
 *
 * @example
 * ```ts
 * import { LocalBackend } from "@ark/node/inference";
 * import { ModelCatalogue } from "@ark/node/models";
 *
 * const catalogue = new ModelCatalogue({ directories: ["test/fixtures"] });
 * await catalogue.refresh();
 * await using backend = new LocalBackend({
 *   catalogue,
 *   workerCommand: [Deno.execPath(), "run", "-A", "main.ts", "worker"],
 * });
 * console.log(backend.handles("arkling"), backend.loaded()); // true []
 * ```
 *
 * @module
 */
export type { AskedModel } from "./asked_model.ts";
export * from "./backend.ts";
export { DemandHistory, type DemandHistoryOptions, type HourOf, hourOfWeek } from "./demand_history.ts";
export * from "./local_backend.ts";
export { type ProbedEngine, probeEngine, type ProbeOptions } from "./engine_probe.ts";
export type { WorkerProgram } from "./worker_program.ts";
export { runProbe } from "./worker/probe.ts";
export * from "./local_options.ts";
export { Prewarmer, type PrewarmerOptions, type WarmBackend } from "./prewarmer.ts";
export type { ModelSpeed } from "./model_speeds.ts";
export { leastModelBytes } from "./model_memory.ts";
export {
  MemoryReader,
  type MemoryReaderOptions,
  type MemoryReading,
  readMemory,
  type ReadMemoryOptions,
} from "./memory_reader.ts";
export type { ModelOccupancy, Occupancy } from "./occupancy.ts";
export type { WorkerTimes } from "./worker_times.ts";
export * from "./worker/engine.ts";
export type { GpuChoice } from "./worker/messages.ts";
export { runWorker, type WorkerOptions } from "./worker/worker.ts";
