import { fileURLToPath } from "node:url";

/** What {@linkcode workerCommand} asks of the runtime. */
export interface Runtime {
  /** Whether this is a compiled executable. */
  standalone: boolean;
  /** Path of the running program. */
  execPath: string;
  /** URL of the main module. */
  mainModule: string;
}

const RUNTIME: Runtime = {
  standalone: Deno.build.standalone,
  execPath: Deno.execPath(),
  mainModule: Deno.mainModule,
};

/** The command that starts a worker: this same executable, or this same program under the same `deno`. */
export function workerCommand({ standalone, execPath, mainModule }: Runtime = RUNTIME): string[] {
  if (standalone) return [execPath, "worker"];
  return [execPath, "run", "-A", fileURLToPath(mainModule), "worker"];
}
