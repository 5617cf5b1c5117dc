import type { Llama, LlamaOptions } from "node-llama-cpp";
import { createRequire } from "node:module";
import type { EngineBinding } from "./engine.ts";
import type { GpuChoice } from "./messages.ts";

/**
 * What node-llama-cpp hands to its own maker of {@linkcode Llama}. It is no part of what the package promises, so it is
 * taken from the pinned version only, and a test looks at it.
 */
interface Making {
  (options: Record<string, unknown>): Promise<Llama>;
}

/** What every use of llama.cpp here is told. */
const COMMON = { progressLogs: false, maxThreads: 1 } as const satisfies LlamaOptions;

/** Memory that stays free where the owner says nothing: what the package itself leaves, on Linux. */
const PADDING = {
  vramPadding: (total: number) => Math.floor(Math.min(total * 0.08, 1.6 * 2 ** 30)),
  ramPadding: (total: number) => Math.floor(Math.min(total * 0.25, 2 ** 30)),
};

/** What callers may say. */
export type LlamaSettings = Pick<LlamaOptions, "logLevel" | "logger" | "vramPadding">;

/** A build of llama.cpp that was found, and what the package made of it. */
export interface FoundBinding {
  /** The build. */
  binding: EngineBinding;
  /** It is loaded. */
  llama: Llama;
}

/** What this process has loaded. There is one: with a second one, the package would lose what llama.cpp says. */
let loaded: FoundBinding | undefined;

/**
 * Finds the build of llama.cpp that works on this machine. The package tries each in a process of its own before it loads
 * it, which needs the permission to run any program: so this happens where no model is near, and never in a worker.
 *
 * @throws {Error} where none works.
 */
export async function findBinding(gpu: GpuChoice): Promise<EngineBinding> {
  const addon = await import("node-llama-cpp");
  return (await searchBinding(gpu, { logLevel: addon.LlamaLogLevel.error })).binding;
}

/** Lets the package look for the build that works here, and loads it. It never builds one and never downloads one. */
export async function searchLlama(gpu: GpuChoice, options: LlamaSettings): Promise<Llama> {
  return (await searchBinding(gpu, options)).llama;
}

/** Does what {@linkcode searchLlama} does, and tells which build it was. */
export async function searchBinding(gpu: GpuChoice, options: LlamaSettings): Promise<FoundBinding> {
  if (loaded !== undefined) return again(loaded, options);
  const addon = await import("node-llama-cpp");
  const maker = addon.Llama as unknown as { _create: Making };
  const make = maker._create;
  let found: EngineBinding | undefined;
  maker._create = (settings) => {
    found = bindingOf(settings);
    return make.call(addon.Llama, settings);
  };
  const llama = await addon.getLlama({
    ...COMMON,
    gpu: gpu === "off" ? false : gpu,
    build: "never",
    skipDownload: true,
    ...options,
  }).finally(() => maker._create = make);
  if (found === undefined) throw new Error("node-llama-cpp did not tell which build it loaded");
  loaded = { binding: { ...found, gpu: llama.gpu }, llama };
  return loaded;
}

/**
 * Loads a build that {@linkcode findBinding} found, without trying it again.
 *
 * @throws {Error} where it does not work here as it did there.
 */
export async function openBinding(
  binding: EngineBinding,
  options: LlamaSettings = {},
): Promise<Llama> {
  if (loaded !== undefined) return again(loaded, options).llama;
  const addon = await import("node-llama-cpp");
  const maker = addon.Llama as unknown as { _create: Making };
  const llama = await maker._create.call(addon.Llama, {
    bindings: createRequire(import.meta.url)(binding.path),
    bindingPath: binding.path,
    extBackendsPath: binding.extensions ?? undefined,
    buildType: "prebuilt",
    buildMetadata: { buildOptions: { customCmakeOptions: {}, gpu: binding.build, llamaCpp: binding.release } },
    ...PADDING,
    debug: false,
    numa: false,
    tempDir: false,
    ...COMMON,
    ...options,
  });
  if (llama.gpu !== binding.gpu) throw new Error(`its build of llama.cpp for ${binding.gpu} finds no such GPU here`);
  loaded = { binding, llama };
  return llama;
}

function again(found: FoundBinding, { logLevel, logger }: LlamaSettings): FoundBinding {
  if (logLevel !== undefined) found.llama.logLevel = logLevel;
  if (logger !== undefined) found.llama.logger = logger;
  return found;
}

function bindingOf(options: Record<string, unknown>): EngineBinding {
  const { bindingPath, extBackendsPath, buildMetadata } = options;
  const { gpu, llamaCpp } = (buildMetadata as { buildOptions: { gpu: EngineBinding["gpu"]; llamaCpp: unknown } })
    .buildOptions;
  const { repo, release } = llamaCpp as EngineBinding["release"];
  return {
    path: String(bindingPath),
    extensions: typeof extBackendsPath === "string" ? extBackendsPath : null,
    build: gpu,
    gpu,
    release: { repo, release },
  };
}
