import { LIMITS } from "@ark/node/protocol";
import { basename, join, sep } from "node:path";
import { type FoundModel, NO_SETTINGS } from "./found_model.ts";
import type { ModelFault, ModelSource } from "./local_model.ts";
import { groupParts, type NamedFile } from "./split_model.ts";

/** What a look at a place with models found. */
export interface Findings {
  /** What may be models. */
  readonly models: FoundModel[];
  /** What could not be read. */
  readonly faults: ModelFault[];
}

/** How {@linkcode findModelFiles} looks. */
export interface WalkOptions {
  /** Folders below that are entered. @default {4} */
  levels?: number;
  /** Ends the look early. */
  signal?: AbortSignal | undefined;
}

const LEVELS = 4;
const EXTENSION_REGEXP = /\.gguf$/i;
const SHA256_REGEXP = /^[0-9a-f]{64}$/;

/** A folder and what is in it. */
export interface ModelFolder {
  /** The folder. */
  directory: string;
  /** Whose it is. */
  source: ModelSource;
}

/**
 * Finds what may be models in folders of GGUF files and a few levels below, in the order of their paths. Each file is there
 * once, however many links or folders lead to it.
 */
export async function findInFolders(folders: readonly ModelFolder[], options: WalkOptions = {}): Promise<Findings> {
  const models: FoundModel[] = [];
  const faults: ModelFault[] = [];
  const seen = new Set<string>();
  const entered = new Set<string>();
  for (const { directory, source } of folders) {
    const before = faults.length;
    const root = await orMissing(Deno.realPath(directory), directory, faults);
    if (root === undefined && faults.length === before) {
      faults.push({ path: directory, reason: "There is no such folder: make it, or correct --models" });
    }
    if (root === undefined) continue;
    const files = await findModelFiles(root, { root, faults, seen, entered, ...options });
    models.push(...modelsOf(files, source));
  }
  return { models: models.sort((a, b) => a.key < b.key ? -1 : 1), faults };
}

/** Makes models of files: one of each, or one of several that are parts of it. */
export function modelsOf(files: readonly NamedFile[], source: ModelSource): FoundModel[] {
  return groupParts(files).map(({ stem, parts, files }) => ({
    key: files[0]?.path ?? "",
    source,
    files: files.map(({ at: _, ...file }) => file),
    parts,
    stem,
    modifiedAt: Math.max(...files.map(({ mtimeMs }) => mtimeMs)),
    settings: NO_SETTINGS,
  }));
}

/** State of {@linkcode findModelFiles}. */
export interface Walk extends WalkOptions {
  /** Real path of the folder that no link may lead out of. */
  root: string;
  /** Takes what could not be read. */
  faults: ModelFault[];
  /** Real paths of files that were met already. */
  seen: Set<string>;
  /** Real paths of folders that were entered already. */
  entered: Set<string>;
}

/**
 * Finds the files that are called `*.gguf` in a folder and a few levels below; hidden ones are left out. A link is followed
 * only where it stays inside the root: one that leads elsewhere would share a file that the owner never put there.
 */
export async function findModelFiles(directory: string, walk: Walk): Promise<NamedFile[]> {
  const { root, faults, seen, entered, levels = LEVELS, signal } = walk;
  const files: NamedFile[] = [];
  entered.add(directory);
  for (const name of await names(directory, faults)) {
    signal?.throwIfAborted();
    const at = join(directory, name);
    const path = await orMissing(Deno.realPath(at), at, faults);
    if (path === undefined || !path.startsWith(root.endsWith(sep) ? root : root + sep) || seen.has(path)) continue;
    const info = await orMissing(Deno.stat(path), path, faults);
    if (info?.isDirectory && levels > 0 && !entered.has(path)) {
      files.push(...await findModelFiles(path, { ...walk, levels: levels - 1 }));
    }
    if (!info?.isFile || !EXTENSION_REGEXP.test(name)) continue;
    // deno-lint-ignore no-control-regex
    if (/[\u0000-\u001f\u007f]/.test(at + path)) {
      faults.push({ path, reason: "Its name has control characters: rename it" });
      continue;
    }
    if (seen.size >= LIMITS.offeredModels) {
      faults.push({ path, reason: `There are more than ${LIMITS.offeredModels} models; this one is left out` });
      return files;
    }
    seen.add(path);
    const hex = basename(path);
    files.push({
      at,
      path,
      size: info.size,
      mtimeMs: millisecondsOf(info),
      claimed: SHA256_REGEXP.test(hex) ? hex : null,
    });
  }
  return files;
}

async function names(directory: string, faults: ModelFault[]): Promise<string[]> {
  const found = await orMissing(Array.fromAsync(Deno.readDir(directory)), directory, faults);
  return (found ?? []).filter((entry) => !entry.name.startsWith(".")).filter((entry) =>
    entry.isDirectory || entry.isSymlink || EXTENSION_REGEXP.test(entry.name)
  ).map((entry) => entry.name).sort();
}

/** When a file was changed last, in whole milliseconds since 1970. */
export function millisecondsOf({ mtime }: Pick<Deno.FileInfo, "mtime">): number {
  return Math.trunc(mtime?.getTime() ?? 0);
}

/** Waits for a file operation: undefined where the file is gone; another failure is a fault, too. */
export async function orMissing<T>(work: Promise<T>, path: string, faults: ModelFault[]): Promise<T | undefined> {
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
