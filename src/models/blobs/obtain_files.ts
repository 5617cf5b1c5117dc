import { ArkError, type ChunkList, chunkRoot, type ManifestFile, type ModelManifest } from "@ark/node/protocol";
import { fileDigest } from "../file_digest.ts";
import type { DownloadLimits } from "../pull/download.ts";
import type { PullProgress } from "../pull/pull_progress.ts";
import type { BlobShelf } from "./blob_shelf.ts";
import { copyBlob } from "./copy_blob.ts";
import { checkRoom } from "./disk_room.ts";
import { PartBlob } from "./part_blob.ts";
import { blobPath, hiddenFolder } from "./parts_folder.ts";

/** Where the bytes of a model's files come from: peers, or a folder. */
export interface FileOrigin {
  /** The hashes of a file's chunks. What does not belong to the manifest is refused, so anybody may tell them. */
  list(file: ManifestFile, signal: AbortSignal): Promise<ChunkList>;
  /** Fills a file: when it resolves, all its chunks are there. */
  bring(part: PartBlob, options: BringOptions): Promise<void>;
}

/** Options of {@linkcode FileOrigin.bring}. */
export interface BringOptions {
  /** Which file. */
  file: ManifestFile;
  /** Ends it; what came stays. */
  signal: AbortSignal;
  /** Told how far it is. */
  tell(progress: PullProgress): void;
}

/** Options of {@linkcode obtainFiles}. */
export interface ObtainOptions {
  /** Folder of the own store. */
  root: string;
  /** Knows what is here already. */
  shelf: Pick<BlobShelf, "fileOf" | "share"> | null;
  /** Where a file of that name will be a part of the model. */
  placeOf(name: string): Promise<string>;
  /** Whether others may be given what has come while the rest still comes. */
  sharing: boolean;
  /** What stays free on the disk. */
  limits: Pick<DownloadLimits, "freeBytes" | "reserveBytes">;
  /** Where the bytes come from. */
  origin: FileOrigin;
  /** Ends it; what came stays. */
  signal: AbortSignal;
  /** Told how far it is. */
  tell(progress: PullProgress): void;
}

/** A file that is whole, and in no model yet. */
export interface WholeFile {
  /** Where it lies. */
  readonly at: string;
  /** Safe name of a file. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 in hex, computed here. */
  readonly sha256: string;
  /** Hashes of its chunks, checked with the whole; absent where they are not known. */
  readonly list?: ChunkList;
}

/**
 * Brings all files of a manifest together, in a hidden folder of the store. What is here already under another name is not
 * fetched; what an earlier try brought is not fetched again.
 *
 * @throws {ArkError} with a sentence; what came stays.
 * @throws the signal's reason when it is aborted.
 */
export async function obtainFiles(manifest: ModelManifest, options: ObtainOptions): Promise<WholeFile[]> {
  const { root, limits, signal, tell } = options;
  const directory = await hiddenFolder(root);
  const missing: ManifestFile[] = [];
  const whole = new Map<string, WholeFile>();
  for (const file of manifest.files) {
    if (whole.has(file.sha256) || missing.some(({ sha256 }) => sha256 === file.sha256)) continue;
    const here = await presentFile(file, options);
    if (here === null) missing.push(file);
    else whole.set(file.sha256, here);
  }
  const needed = await bytesToCome(root, missing);
  const { free } = await checkRoom(directory, { needed, limits });
  tell({ status: "checking free space", free, needed });
  for (const file of missing) {
    signal.throwIfAborted();
    whole.set(file.sha256, await obtain(file, { ...options, model: manifest.model }));
  }
  return manifest.files.flatMap(({ name, sha256 }) => {
    const file = whole.get(sha256);
    return file === undefined ? [] : [{ ...file, name }];
  });
}

/** A file that need not be fetched: it came whole before, or is a part of another model. */
async function presentFile(
  { name, sha256, size }: ManifestFile,
  { root, shelf, placeOf, signal, tell }: ObtainOptions,
): Promise<WholeFile | null> {
  const at = blobPath(root, sha256);
  const told = { status: `found ${sha256.slice(0, 12)}`, digest: `sha256:${sha256}`, total: size, completed: size };
  const info = await Deno.lstat(at).catch(() => null);
  // It was checked before it got this name; but it may have lain there for long.
  if (info !== null && info.isFile && info.size === size && await fileDigest(at, { signal }) === sha256) {
    tell(told);
    return { at, name, size, sha256 };
  }
  if (info !== null) await Deno.remove(at).catch(() => {});
  const other = shelf?.fileOf(sha256);
  const place = await placeOf(name);
  if (other?.path === place && other.size === size) {
    tell(told);
    return { at: place, name, size, sha256 };
  }
  if (other === undefined || other.size !== size || !await copyBlob(other, at, signal)) return null;
  tell(told);
  return { at, name, size, sha256 };
}

async function obtain(file: ManifestFile, options: ObtainOptions & { model: string }): Promise<WholeFile> {
  const { root, shelf, sharing, origin, model, signal, tell } = options;
  const { name, sha256, size } = file;
  const list = await origin.list(file, signal);
  if (list.size !== size || chunkRoot(list) !== file.root) {
    throw new ArkError(
      "unavailable",
      `The hashes of the pieces of ${name} do not belong to the manifest: they were damaged or changed on the way`,
    );
  }
  const at = blobPath(root, sha256);
  await using part = await PartBlob.open(`${at}.part`, { sha256, size, list, signal });
  using _ = sharing ? shelf?.share(part, [model]) : undefined;
  if (!part.complete) await origin.bring(part, { file, signal, tell });
  if (!part.complete) throw new ArkError("unavailable", `Not all of ${name} came; what came is kept`);
  tell({ status: "verifying sha256 digest" });
  await part.finish(at);
  return { at, name, size, sha256, list };
}

async function bytesToCome(root: string, files: readonly ManifestFile[]): Promise<number> {
  let sum = 0;
  for (const { sha256, size } of files) {
    const info = await Deno.lstat(`${blobPath(root, sha256)}.part`).catch(() => null);
    // A file that is not whole has holes: only the blocks that are written take room.
    const written = info?.isFile ? Math.min(size, (info.blocks ?? 0) * 512) : 0;
    sum += size - written;
  }
  return sum;
}
