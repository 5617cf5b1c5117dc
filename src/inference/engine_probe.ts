import { ArkError } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { EngineBinding } from "./worker/engine.ts";
import type { GpuChoice } from "./worker/messages.ts";
import type { WorkerProgram } from "./worker_program.ts";

/** Options of {@linkcode probeEngine}. */
export interface ProbeOptions {
  /** Starts the processes that look. */
  program: WorkerProgram;
  /** Which compute layer the owner wants. */
  gpu: GpuChoice;
  /** The whole environment of the processes. */
  environment: Readonly<Record<string, string>>;
  /** Ends the looking. */
  signal: AbortSignal;
  /** Hears where the barrier must be left out. */
  logger?: Pick<Logger, "warn"> | undefined;
}

/** How workers are to be started here. */
export interface ProbedEngine {
  /** The build that they load. */
  binding: EngineBinding;
  /** Whether the operating system may shut them in. */
  barrier: boolean;
}

/** How long looking may take, in milliseconds: a first start of a GPU's driver. */
const PROBE_MS = 120_000;
/** Longest line that is taken. */
const LINE_LENGTH = 8_192;

/**
 * Looks once, before any model is near, which build of the engine works, and on a GPU whether it works behind the
 * barrier as well. Were that decided by a worker that failed, then a hostile model could fail in order to be let out.
 *
 * @throws {ArkError} `engine_failed` where no build works.
 */
export async function probeEngine(options: ProbeOptions): Promise<ProbedEngine> {
  const { program, gpu, logger, signal } = options;
  const run = (how: { binding: EngineBinding | null; barrier: boolean }) =>
    ran(program.probe({ gpu, ...how }), options);
  const first = await run({ binding: null, barrier: false });
  if (signal.aborted) throw new ArkError("cancelled", "The node is stopping");
  const binding = first === null ? null : decoded(first);
  if (binding === null) {
    throw new ArkError(
      "engine_failed",
      `The engine cannot run: no build of llama.cpp for the choice of GPU "${gpu}" works here`,
    );
  }
  if (binding.gpu === false) return { binding, barrier: true };
  const barrier = await run({ binding, barrier: true }) !== null;
  if (!barrier) {
    logger?.warn("The GPU cannot be used in namespaces of the worker's own: it is held by Deno's permissions alone", {
      name: binding.gpu,
    });
  }
  return { binding, barrier };
}

/** Runs a command to its end: what it printed, or null where it failed. */
async function ran(
  [program = "", ...args]: readonly string[],
  { environment, signal }: Pick<ProbeOptions, "environment" | "signal">,
): Promise<string | null> {
  const enough = new AbortController();
  const timer = setTimeout(() => enough.abort(), PROBE_MS);
  try {
    const { success, stdout } = await new Deno.Command(program, {
      args,
      env: { ...environment },
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: AbortSignal.any([signal, enough.signal]),
    }).output();
    return success ? new TextDecoder().decode(stdout.subarray(0, LINE_LENGTH)) : null;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

function decoded(line: string): EngineBinding | null {
  try {
    const { path, extensions, build, gpu, release } = JSON.parse(line) as EngineBinding;
    const known = (layer: unknown) => layer === false || ["cuda", "vulkan", "metal"].includes(layer as string);
    return typeof path === "string" && known(build) && known(gpu) && typeof release.release === "string"
      ? { path, extensions, build, gpu, release }
      : null;
  } catch {
    return null;
  }
}
