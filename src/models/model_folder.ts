import { LIMITS } from "@ark/node/protocol";
import { join, sep } from "node:path";
import type { ModelFault } from "./local_model.ts";

/** A regular file that is called like a model. */
export interface ModelFile {
  /** Absolute path, links resolved. */
  readonly path: string;
  /** Name of the file as it lies in the folder, without `.gguf`. */
  readonly stem: string;
  /** Bytes. */
  readonly size: number;
  /** Time of the last change, in milliseconds since 1970. */
  readonly mtimeMs: number;
}

/** What a walk through folders found. */
export interface FoundFiles {
  /** Files by their path, in the order of their paths. */
  readonly files: ModelFile[];
  /** Folders that could not be read. */
  readonly faults: ModelFault[];
}

const LEVELS = 4;
const EXTENSION_REGEXP = /\.gguf$/i;

/**
 * Finds the files that are called `*.gguf` in folders and a few levels below; hidden ones are left out. Each file is
 * there once, however many links lead to it.
 */
export async function findModelFiles(directories: readonly string[], signal?: AbortSignal): Promise<FoundFiles> {
  const files = new Map<string, ModelFile>();
  const faults: ModelFault[] = [];
  for (const directory of directories) {
    const before = faults.length;
    const root = await orMissing(Deno.realPath(directory), directory, faults);
    if (root === undefined && faults.length === before) {
      faults.push({ path: directory, reason: "There is no such folder: make it, or correct --models" });
    }
    if (root !== undefined) await walk(root, { root, levels: LEVELS, files, faults, seen: new Set([root]), signal });
  }
  return { files: [...files.values()].sort((a, b) => a.path < b.path ? -1 : 1), faults };
}

interface Walk {
  root: string;
  levels: number;
  files: Map<string, ModelFile>;
  faults: ModelFault[];
  seen: Set<string>;
  signal: AbortSignal | undefined;
}

async function walk(directory: string, state: Walk): Promise<void> {
  for (const name of await names(directory, state)) {
    state.signal?.throwIfAborted();
    const path = await orMissing(Deno.realPath(join(directory, name)), join(directory, name), state.faults);
    // A link that leads outside its folder would share a file that the owner never put there.
    if (path === undefined || !path.startsWith(state.root.endsWith(sep) ? state.root : state.root + sep)) continue;
    const info = await orMissing(Deno.stat(path), path, state.faults);
    if (info?.isDirectory && state.levels > 0 && !state.seen.has(path)) {
      state.seen.add(path);
      await walk(path, { ...state, levels: state.levels - 1 });
    }
    if (!info?.isFile || !EXTENSION_REGEXP.test(name) || state.files.has(path)) continue;
    if (state.files.size >= LIMITS.offeredModels) {
      state.faults.push({ path, reason: `There are more than ${LIMITS.offeredModels} models; this one is left out` });
      return;
    }
    const mtimeMs = Math.trunc(info.mtime?.getTime() ?? 0);
    state.files.set(path, { path, stem: name.replace(EXTENSION_REGEXP, ""), size: info.size, mtimeMs });
  }
}

async function names(directory: string, { faults }: Walk): Promise<string[]> {
  const found = await orMissing(Array.fromAsync(Deno.readDir(directory)), directory, faults);
  return (found ?? []).filter((entry) => !entry.name.startsWith(".")).filter((entry) =>
    entry.isDirectory || entry.isSymlink || EXTENSION_REGEXP.test(entry.name)
  ).map((entry) => entry.name).sort();
}

/** Waits for a file operation: undefined where the file is gone; another failure is a fault, too. */
async function orMissing<T>(work: Promise<T>, path: string, faults: ModelFault[]): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) faults.push({ path, reason: unreadable(error) });
    return undefined;
  }
}

/** One sentence on why a file or folder could not be read. */
export function unreadable(error: unknown): string {
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return "It cannot be read: permission denied";
  }
  const code = (error as { code?: unknown } | null)?.code;
  return `It cannot be read${typeof code === "string" ? `: ${code}` : ""}`;
}
