import type { WorkerProgram } from "@ark/node/inference";
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WORKER_BARRIER } from "./worker_barrier.ts";

/** What {@linkcode workerProgram} asks of the runtime. */
export interface Runtime {
  /** Whether this is a compiled executable. */
  standalone: boolean;
  /** Path of the running program. */
  execPath: string;
  /** URL of the main module. */
  mainModule: string;
  /** Whether the system has a POSIX shell. */
  shell: boolean;
  /** Whether there is such a file. */
  isFile(path: string): boolean;
}

const RUNTIME: Runtime = {
  standalone: Deno.build.standalone,
  execPath: Deno.execPath(),
  mainModule: Deno.mainModule,
  shell: Deno.build.os !== "windows",
  isFile: (path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false,
};

/**
 * How Deno runs a node, beside what it may do. V8 lets new objects take 48 MB before it looks which of them are still in use;
 * of a stream or a request hardly any are, so a fourth of that is enough. `compile.sh` and the task `ark-node` have the same.
 */
export const NODE_FLAGS: readonly string[] = ["--v8-flags=--max-semi-space-size=4"];

/**
 * Nothing is fetched, asked for or looked up in the folder where the owner happens to be. Packages are taken as they lie in
 * node_modules: to choose their versions anew, Deno would need the registry's lists, which an installation by a lock never has.
 */
const QUIETLY = ["--quiet", "--no-prompt", "--cached-only", "--no-remote", "--no-lock", "--node-modules-dir=manual"];

/**
 * How a worker is started that runs models of strangers, and the process that looks before which engine works.
 *
 * | the worker may | from source | portable, container | compiled |
 * |---|---|---|---|
 * | use the network | no | no | no, once it has started |
 * | read | its libraries, its one model | its libraries, its one model | everything, until the model is loaded |
 * | write, run programs | no | no | no, once it has started |
 * | load libraries | those of node_modules, until the model is loaded | the same | any, until the model is loaded |
 * | see the environment | what the node chose | what the node chose | what the node chose |
 *
 * "From source" is `deno run`, "portable" the executable of `compile.sh --portable`, whose launcher has the same
 * permissions, and "compiled" `deno compile`, which has one set of permissions for both processes, so that the worker
 * gives up what it has by itself. What code in C++ may do is up to {@linkcode WORKER_BARRIER}.
 *
 * The process that looks may run programs and read everything. It sees no model, and no worker can start it.
 */
export function workerProgram(data: string, runtime: Runtime = RUNTIME): WorkerProgram {
  const { standalone, execPath, mainModule, isFile } = runtime;
  const launcher = join(dirname(execPath), "ark-node-worker");
  const how = (barrier: boolean) => barrier ? "auto" : "off";
  if (!standalone && isFile(launcher)) {
    return {
      probe: ({ gpu, binding, barrier }) => [launcher, "probe", how(barrier), JSON.stringify({ gpu, binding })],
      worker: ({ files, barrier }) => [launcher, "model", how(barrier), data, lines(files), readable(files)],
    };
  }
  const shut = (barrier: boolean, files: readonly string[]) =>
    runtime.shell ? ["/bin/sh", "-c", WORKER_BARRIER, "sh", how(barrier), data, lines(files)] : [];
  if (standalone) {
    return {
      probe: (options) => [...shut(options.barrier, []), execPath, ...probeWords(options)],
      worker: ({ files, barrier }) => [...shut(barrier, files), execPath, "worker"],
    };
  }
  // Started by quick.ts, which a worker could not read the rest from.
  const main = fileURLToPath(mainModule).replace(/\bquick\.ts$/, "main.ts");
  const config = join(dirname(main), "deno.json");
  const run = [execPath, "run", ...QUIETLY, ...(isFile(config) ? ["--config", config] : [])];
  return {
    probe: (options) => [...shut(options.barrier, []), ...run, "-A", main, ...probeWords(options)],
    worker: ({ files, barrier }) => [
      ...shut(barrier, files),
      ...run,
      ...workerPermissions(join(dirname(main), "node_modules"), files),
      main,
      "worker",
    ],
  };
}

/** Deno's permissions of a worker, and a bound on its memory outside of the engine. The same stand in the launcher that `compile.sh` makes, and a test compares them. */
export function workerPermissions(libraries: string, files: readonly string[]): string[] {
  return [
    `--allow-read=${commaFree(libraries)},${readable(files)}`,
    `--allow-ffi=${commaFree(libraries)}`,
    "--allow-env",
    "--allow-sys=homedir,uid",
    // A chat template can ask for any amount of memory.
    "--v8-flags=--max-old-space-size=2048",
  ];
}

function probeWords({ gpu, binding }: { gpu: unknown; binding: unknown }): string[] {
  return ["worker", "probe", JSON.stringify({ gpu, binding })];
}

/** The files of a model as the barrier takes them: each on a line. A catalogue has no path with a line feed in it. */
function lines(files: readonly string[]): string {
  return files.join("\n");
}

/** The files of a model as Deno takes them. */
function readable(files: readonly string[]): string {
  return files.map(commaFree).join(",");
}

/** A path as Deno takes it in a list, which it parts at commas: where the path has one, the folder before that. */
function commaFree(path: string): string {
  const comma = path.indexOf(",");
  return comma < 0 ? path : dirname(path.slice(0, comma) + "x");
}
