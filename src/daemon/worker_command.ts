import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What {@linkcode workerCommand} asks of the runtime. */
export interface Runtime {
  /** Whether this is a compiled executable. */
  standalone: boolean;
  /** Path of the running program. */
  execPath: string;
  /** URL of the main module. */
  mainModule: string;
  /** Whether there is such a file. */
  isFile(path: string): boolean;
}

const RUNTIME: Runtime = {
  standalone: Deno.build.standalone,
  execPath: Deno.execPath(),
  mainModule: Deno.mainModule,
  isFile: (path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false,
};

/**
 * The command that starts a worker.
 *
 * | the node is | command |
 * |---|---|
 * | a compiled executable | itself |
 * | a portable executable, unpacked | the worker's launcher beside its `deno`, which gives the worker fewer permissions |
 * | run from source | the same program under the same `deno` |
 */
export function workerCommand({ standalone, execPath, mainModule, isFile }: Runtime = RUNTIME): string[] {
  if (standalone) return [execPath, "worker"];
  const launcher = join(dirname(execPath), "ark-node-worker");
  if (isFile(launcher)) return [launcher];
  return [execPath, "run", "-A", fileURLToPath(mainModule), "worker"];
}
