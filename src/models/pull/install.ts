import { dirname, join, sep } from "node:path";
import { ArkError, type ChunkList, isSafeName } from "@ark/node/protocol";
import { syncFolder } from "@ark/node/store";
import type { WholeFile } from "../blobs/obtain_files.ts";
import { fileDigest } from "../file_digest.ts";
import type { FoundFile } from "../found_model.ts";
import { millisecondsOf } from "../model_folder.ts";
import type { NamelessModel } from "../model_ids.ts";
import { readModel } from "../model_reader.ts";
import { NO_SETTINGS } from "../found_model.ts";
import type { RecordedFile } from "../own_records.ts";
import { download, type DownloadLimits } from "./download.ts";
import type { PlannedFile, PullPlan } from "./pull_plan.ts";
import type { PullProgress } from "./pull_progress.ts";

/** Options of {@linkcode fetchPlan}. */
export interface FetchPlanOptions {
  /** Folder of the store. */
  root: string;
  /** Limits of the downloads. */
  limits: DownloadLimits;
  /** Ends it; what came stays. */
  signal: AbortSignal;
  /** Told how far it is. */
  tell(progress: PullProgress): void;
  /** Fetches a file from peers; null where only its address is left. */
  fromPeers?(file: PlannedFile, to: FromPeers): Promise<WholeFile | null>;
}

/** Where a file that comes from peers goes, and who is told how far it is. */
export interface FromPeers {
  /** Where it will be a part of the model. */
  path: string;
  /** Told how far it is. */
  progress(progress: Omit<PullProgress, "status" | "digest">): void;
}

/** Options of {@linkcode placeFiles}. */
export interface PlaceOptions {
  /** Folder of the store. */
  root: string;
  /** Takes the digest of a file that is in its place. */
  learn(file: Omit<FoundFile, "claimed">, digest: string, list?: ChunkList): Promise<void>;
}

/** Options of {@linkcode placeFiles}. */
export interface PlaceOptions {
  /** Folder of the store. */
  root: string;
  /** Takes the digest of a file that is in its place. */
  learn(file: Omit<FoundFile, "claimed">, digest: string, list?: ChunkList): Promise<void>;
}

/** What is in its place now. */
export interface Installed {
  /** The files in order. */
  files: RecordedFile[];
  /** Name of the first one within the store. */
  first: string;
}

/**
 * Fetches all files of a plan. They are whole then, and no model yet.
 *
 * @throws {ArkError} with a sentence. @throws the signal's reason when it is aborted.
 */
export async function fetchPlan(plan: PullPlan, options: FetchPlanOptions): Promise<WholeFile[]> {
  const files: WholeFile[] = [];
  for (const file of plan.files) files.push(await fetchFile(file, options));
  return files;
}

/**
 * Puts files that are whole and a model into their places.
 *
 * @throws {ArkError} with a sentence.
 */
export async function placeFiles(files: readonly WholeFile[], { root, learn }: PlaceOptions): Promise<Installed> {
  // The first part last: without it, nobody takes the others for a model.
  let first = "";
  for (const { at, name, size, sha256, list } of files.toReversed()) {
    const to = first = await placeOf(root, name);
    if (at !== to) {
      await Deno.rename(at, to);
      await Deno.remove(`${at}.json`).catch(() => {});
      await syncFolder(dirname(to));
    }
    const info = await Deno.stat(to);
    if (info.size !== size) throw new ArkError("unavailable", `${to} changed while it was put there: fetch it again`);
    await learn({ path: await Deno.realPath(to), size, mtimeMs: millisecondsOf(info) }, sha256, list);
  }
  return { files: files.map(({ name, size, sha256 }) => ({ name, size, sha256 })), first: await nameOf(root, first) };
}

async function fetchFile(file: PlannedFile, options: FetchPlanOptions): Promise<WholeFile> {
  const { root, limits, signal, tell } = options;
  const to = await placeOf(root, file.name);
  const label = file.sha256?.slice(0, 12) ?? file.name.split("/").at(-1) ?? "";
  const shared = { status: `pulling ${label}`, ...file.sha256 === null ? {} : { digest: `sha256:${file.sha256}` } };
  const there = await presentFile(to, { file, signal });
  if (there !== null) {
    tell({ ...shared, total: there.size, completed: there.size });
    return { at: to, name: file.name, ...there };
  }
  const came = await options.fromPeers?.(file, { path: to, progress: (progress) => tell({ ...shared, ...progress }) });
  const { url } = file;
  if (came !== undefined && came !== null) return came;
  if (url === null) {
    throw new ArkError("model_not_found", `No peer gives the file ${label} any more; what came is kept`);
  }
  const { part, size, sha256 } = await download({ ...file, url, path: to }, {
    limits,
    signal,
    progress: (completed, total) => tell({ ...shared, total, completed }),
  });
  return { at: part, name: file.name, size, sha256 };
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

/**
 * The header parser's word on files that are not in their places yet. Those that are no model are removed.
 *
 * @param root folder of the store, whose files are left where they are.
 * @throws {ArkError} `unavailable`
 */
export async function checkModel(
  files: readonly WholeFile[],
  { root, signal }: { root: string; signal: AbortSignal },
): Promise<NamelessModel> {
  const found = files.map(({ at, size }) => ({ path: at, size, mtimeMs: 0, claimed: null }));
  try {
    return await readModel({
      key: "",
      source: "own",
      files: found,
      parts: 1,
      stem: "model",
      modifiedAt: 0,
      settings: NO_SETTINGS,
    }, signal);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    for (const { at, name } of files) {
      if (at === await placeOf(root, name)) continue;
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
