/**
 * The composition root: makes a node out of the other modules, and keeps it running.
 *
 * - {@linkcode startDaemon} takes the data directory, opens what is in it, listens, and starts the rest. Two nodes never
 *   share a directory. Where a step fails, the ones before are undone and one sentence says why.
 * - A part that works in the background and fails is started again; the others go on.
 * - {@linkcode Daemon.drain} lets running answers end; disposing closes everything in the reverse order.
 *
 * - The engine's process is held by Deno's permissions ({@linkcode workerProgram} has the table), and on Linux by the
 *   system as well ({@linkcode WORKER_BARRIER}). No crash leaves a core file ({@linkcode forbidCoreFiles}).
 *
 * - A doctor looks at a running node, or at what keeps one from running: {@linkcode CHECKS} is the table of what it looks at
 *   and what it says to do. Its checks run side by side, each with a limit; none needs root, and none repeats a secret.
 * - A node works for peers by its owner's word, his hours, and what he does with the machine. What looks at the machine says where it
 *   can tell nothing; it never takes a server for somebody who sits before it. The owner and his own nodes are never
 *   kept away, and peers are told that they must wait, and not why.
 * - What the owner's other nodes offered is remembered, and a sleeping one is woken for a request of his that nobody
 *   else can answer; for peers' requests none is.
 *
 * What a node is beside that is decided by its {@linkcode Role}s.
 *
 * @example
 * ```ts
 * import { workerPermissions } from "@ark/node/daemon";
 *
 * console.log(workerPermissions("/app/node_modules", ["/models/a.gguf"])[0]);
 * // --allow-read=/app/node_modules,/models/a.gguf
 * ```
 *
 * @module
 */
export { backUp, restoreBackup, type Restored } from "./backups.ts";
export * from "./core_files.ts";
export * from "./daemon.ts";
export { type NodeAddress, runningNode } from "./data_lock.ts";
export * from "./doctor/check_table.ts";
export { examineMachine, examineStopped, type StoppedOptions } from "./doctor/stopped.ts";
export * from "./role.ts";
export * from "./rotate_key.ts";
export type { YieldTimes } from "./sharing/steady_use.ts";
export { StartError } from "./start_error.ts";
export * from "./worker_barrier.ts";
export * from "./worker_command.ts";
