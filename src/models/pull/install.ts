import { dirname, join, sep } from "node:path";
import { ArkError } from "@ark/node/protocol";
import { fileDigest } from "../file_digest.ts";
import type { FoundFile } from "../found_model.ts";
import { millisecondsOf } from "../model_folder.ts";
import { readModel } from "../model_reader.ts";
import { NO_SETTINGS } from "../found_model.ts";
import { type RecordedFile, syncFolder } from "../own_records.ts";
import { download, type DownloadLimits, type Fetched } from "./download.ts";
import type { PlannedFile, PullPlan } from "./pull_plan.ts";
import type { PullProgress } from "./pull_progress.ts";
import { isSafeName } from "./safe_name.ts";

/** Options of {@linkcode installPlan}. */
export interface InstallOptions {
  /** Folder of the store. */
  root: string;
  /** Limits of the downloads. */
  limits: DownloadLimits;
  /** Takes the digest of a file that is in its place. */
  learn(file: Omit<FoundFile, "claimed">, digest: string): Promise<void>;
  /** Ends it; what came stays. */
  signal: AbortSignal;
  /** Told how far it is. */
  tell(progress: PullProgress): void;
  /** Fetches a file from peers; null where only its address is left. */
  fromPeers?(
    file: PlannedFile,
    to: { path: string; progress(progress: Omit<PullProgress, "status" | "digest">): void },
  ): Promise<Fetched | null>;
}

/** What is in its place now. */
export interface Installed {
  /** The files in order. */
  files: RecordedFile[];
  /** Name of the first one within the store. */
  first: string;
}

/** A file that is whole: under its own name already, or under the one with `.part`. */
interface Ready extends Omit<Fetched, "part"> {
  at: string;
  to: string;
  name: string;
}

/**
 * Fetches all files of a plan, and puts them into their places when all are whole and a model.
 *
 * @throws {ArkError} with a sentence. @throws the signal's reason when it is aborted.
 */
export async function installPlan(plan: PullPlan, options: InstallOptions): Promise<Installed> {
  const { root, signal, tell } = options;
  const ready: Ready[] = [];
  for (const file of plan.files) ready.push(await fetchFile(file, options));
  tell({ status: "verifying sha256 digest" });
  await checkModel(ready, signal);
  // The first part last: without it, nobody takes the others for a model.
  for (const { at, to, size, sha256 } of ready.toReversed()) {
    if (at !== to) {
      await Deno.rename(at, to);
      await Deno.remove(`${at}.json`).catch(() => {});
      await syncFolder(dirname(to));
    }
    const info = await Deno.stat(to);
    await options.learn({ path: await Deno.realPath(to), size, mtimeMs: millisecondsOf(info) }, sha256);
  }
  const files = ready.map(({ name, size, sha256 }) => ({ name, size, sha256 }));
  return { files, first: await nameOf(root, ready[0]?.to ?? "") };
}

async function fetchFile(file: PlannedFile, options: InstallOptions): Promise<Ready> {
  const { root, limits, signal, tell } = options;
  const to = await placeOf(root, file.name);
  const label = file.sha256?.slice(0, 12) ?? file.name.split("/").at(-1) ?? "";
  const shared = { status: `pulling ${label}`, ...file.sha256 === null ? {} : { digest: `sha256:${file.sha256}` } };
  const there = await presentFile(to, { file, signal });
  if (there !== null) {
    tell({ ...shared, total: there.size, completed: there.size });
    return { at: to, to, name: file.name, ...there };
  }
  const came = await options.fromPeers?.(file, { path: to, progress: (progress) => tell({ ...shared, ...progress }) });
  const { url } = file;
  if (came !== undefined && came !== null) return { ...came, at: came.part, to, name: file.name };
  if (url === null) {
    throw new ArkError("model_not_found", `No peer gives the file ${label} any more; what came is kept`);
  }
  const { part, size, sha256 } = await download({ ...file, url, path: to }, {
    limits,
    signal,
    progress: (completed, total) => tell({ ...shared, total, completed }),
  });
  return { at: part, to, name: file.name, size, sha256 };
}

/** A file that is in its place already, where it is the one that is wanted. */
async function presentFile(
  path: string,
  { file: { sha256 }, signal }: { file: PlannedFile; signal: AbortSignal },
): Promise<{ size: number; sha256: string } | null> {
  const info = await Deno.lstat(path).catch(() => null);
  if (info === null) return null;
  if (!info.isFile) throw new ArkError("unavailable", `${path} is in the way and is no file: remove it`);
  if (sha256 === null) return null;
  return await fileDigest(path, { signal }) === sha256 ? { size: info.size, sha256 } : null;
}

/** The header parser's word on files that are not in their places yet. */
async function checkModel(ready: readonly Ready[], signal: AbortSignal): Promise<void> {
  const names = ready.map(({ at, size }) => ({ path: at, size, mtimeMs: 0, claimed: null }));
  try {
    await readModel({
      key: "",
      source: "own",
      files: names,
      parts: 1,
      stem: "model",
      modifiedAt: 0,
      settings: NO_SETTINGS,
    }, signal);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    for (const { at, to } of ready) {
      if (at === to) continue;
      await Deno.remove(at).catch(() => {});
      await Deno.remove(`${at}.json`).catch(() => {});
    }
    throw new ArkError(
      "unavailable",
      `What came is no model that this node can run, and is thrown away: ${error.message}`,
    );
  }
}

/**
 * Absolute path of a file of the store, whose folder is there afterwards.
 *
 * @throws {ArkError} `bad_request` where a part of the name is unsafe, `forbidden` where a folder is a link that leads out.
 */
export async function placeOf(root: string, name: string): Promise<string> {
  const parts = name.split("/");
  if (parts.length < 2 || !parts.every(isSafeName)) {
    throw new ArkError("bad_request", "The file's name is not one that this node writes");
  }
  const real = await Deno.realPath(root);
  const directory = join(real, ...parts.slice(0, -1));
  for (let depth = 1; depth < parts.length; depth++) {
    const at = join(real, ...parts.slice(0, depth));
    await Deno.mkdir(at, { mode: 0o700 }).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
    const info = await Deno.lstat(at);
    if (!info.isDirectory) {
      throw new ArkError("forbidden", `${at} leads elsewhere or is no folder: nothing is written there`);
    }
  }
  if (!(await Deno.realPath(directory)).startsWith(real + sep)) {
    throw new ArkError("forbidden", `${directory} leads out of the store: nothing is written there`);
  }
  return join(directory, parts.at(-1) ?? "");
}

async function nameOf(root: string, path: string): Promise<string> {
  return path.slice((await Deno.realPath(root)).length + 1).replaceAll(sep, "/");
}
