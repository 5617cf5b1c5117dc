import { constants } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  ArkError,
  CHUNK_BYTES,
  chunkCount,
  chunkLength,
  type ChunkList,
  encodeChunkList,
  type ManifestFile,
  type SignedManifest,
} from "@ark/node/protocol";
import { syncFolder } from "@ark/node/store";
import type { DownloadLimits } from "../pull/download.ts";
import type { PullProgress } from "../pull/pull_progress.ts";
import type { BlobHere } from "./blob_here.ts";
import type { BlobShelf } from "./blob_shelf.ts";
import { blobName, BLOBS_NAME, chunksName, MANIFEST_NAME } from "./carried_files.ts";
import { isChunk, readChunk } from "./chunk_io.ts";
import { diskError } from "./disk_error.ts";
import { checkRoom } from "./disk_room.ts";
import { readManifest } from "./import_model.ts";
import { writeAll } from "./part_journal.ts";

/** How long an export waits for digests, in milliseconds. */
const MOST_WAIT_MS = 600_000;

/** Options of {@linkcode exportModel}. */
export interface ExportOptions {
  /** Knows the model and its files. */
  shelf: Pick<BlobShelf, "find" | "manifest">;
  /** What stays free on the disk. */
  limits: Pick<DownloadLimits, "freeBytes" | "reserveBytes">;
  /** Ends it; what was written stays, and the next export goes on from there. */
  signal: AbortSignal;
  /** Told how far it is. */
  tell(progress: PullProgress): void;
}

/**
 * Writes a model into a folder that can be carried to another machine: `manifest.json`, and `blobs/` with each file under its
 * digest and the hashes of its chunks beside it. The manifest is written last: a folder without it is not whole.
 *
 * @param id of the model.
 * @throws {ArkError} with a sentence. @throws the signal's reason when it is aborted.
 */
export async function exportModel(id: string, directory: string, options: ExportOptions): Promise<void> {
  const { shelf, limits, signal, tell } = options;
  tell({ status: "reading manifest" });
  const signed = await manifestOf(id, { shelf, signal, tell });
  await refuseOther(directory, signed);
  const blobs = join(directory, BLOBS_NAME);
  try {
    await Deno.mkdir(blobs, { recursive: true });
  } catch (error) {
    throw diskError(error, blobs);
  }
  const missing: ManifestFile[] = [];
  let needed = 0;
  for (const file of signed.manifest.files) {
    const path = join(blobs, blobName(file.sha256));
    const info = await Deno.lstat(path).catch(() => null);
    if (info?.isFile && info.size === file.size) continue;
    const begun = await Deno.lstat(`${path}.part`).catch(() => null);
    needed += file.size - Math.min(file.size, begun?.isFile ? begun.size : 0);
    missing.push(file);
  }
  const { free } = await checkRoom(directory, { needed, limits: { ...limits, reserveBytes: 0 } });
  tell({ status: "checking free space", free, needed });
  for (const file of signed.manifest.files) {
    const here = shelf.find(file.sha256);
    if (here === undefined) throw new ArkError("model_not_found", `The files of ${id} changed just now: try again`);
    const list = await here.chunks();
    if (missing.includes(file)) {
      await writeBlob({ file, here, list }, { path: join(blobs, blobName(file.sha256)), signal, tell });
    }
    await writeWhole(join(blobs, chunksName(file.sha256)), encodeChunkList(list));
  }
  tell({ status: "writing manifest" });
  await writeWhole(join(directory, MANIFEST_NAME), new TextEncoder().encode(JSON.stringify(signed, null, 2) + "\n"));
}

/** The manifest of a model; waits while the digests of its files are being computed. */
async function manifestOf(
  id: string,
  { shelf, signal, tell }: Pick<ExportOptions, "shelf" | "signal" | "tell">,
): Promise<SignedManifest> {
  for (const began = performance.now();;) {
    const signed = await shelf.manifest(id);
    if (signed !== undefined) return signed;
    if (performance.now() - began > MOST_WAIT_MS) {
      throw new ArkError("busy", `The digests of ${id} are still not known: try again later`, {
        retryAfterSeconds: 60,
      });
    }
    tell({ status: "computing sha256 digests" });
    await pause(250, undefined, { signal });
  }
}

/** A folder holds one model: another one's manifest is not written over. */
async function refuseOther(directory: string, { manifest }: SignedManifest): Promise<void> {
  const there = await readManifest(directory).catch((error) => {
    if (error instanceof ArkError && error.code === "model_not_found") return null;
    throw new ArkError("bad_request", `${directory} has a ${MANIFEST_NAME} that is no model's: choose another folder`, {
      cause: error,
    });
  });
  if (there === null || there.manifest.model === manifest.model) return;
  throw new ArkError(
    "bad_request",
    `${directory} has the model ${there.manifest.model} already: choose another folder, one for each model`,
  );
}

/** Writes a file from its beginning on, since such file systems fill what is left out; each chunk is checked on its way. */
async function writeBlob(
  { file: { name, sha256, size }, here, list }: { file: ManifestFile; here: BlobHere; list: ChunkList },
  { path, signal, tell }: { path: string; signal: AbortSignal; tell(progress: PullProgress): void },
): Promise<void> {
  const { O_CREAT, O_RDWR, O_NOFOLLOW = 0 } = constants;
  try {
    const part = await open(`${path}.part`, O_CREAT | O_RDWR | O_NOFOLLOW, 0o644);
    try {
      const there = (await part.stat()).size;
      const buffer = new Uint8Array(CHUNK_BYTES);
      for (let index = 0; index < chunkCount(size); index++) {
        signal.throwIfAborted();
        const at = index * CHUNK_BYTES;
        const length = chunkLength(size, index);
        const known = there >= at + length &&
          await isChunk(list, { index, bytes: await readChunk(part, { index, size, into: buffer }) });
        if (!known) {
          const bytes = await here.read(index, buffer);
          if (!await isChunk(list, { index, bytes })) {
            throw new ArkError("unavailable", `The file of ${name} is damaged on this node's disk: fetch it again`);
          }
          await writeAll(part, bytes, at);
        }
        tell({
          status: `writing ${sha256.slice(0, 12)}`,
          digest: `sha256:${sha256}`,
          total: size,
          completed: at + length,
        });
      }
      await part.truncate(size);
      await part.sync();
    } finally {
      await part.close();
    }
    await rename(`${path}.part`, path);
    await syncFolder(join(path, ".."));
  } catch (error) {
    signal.throwIfAborted();
    throw diskError(error, path);
  }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const { O_CREAT, O_WRONLY, O_TRUNC, O_NOFOLLOW = 0 } = constants;
  try {
    const file = await open(`${path}.part`, O_CREAT | O_WRONLY | O_TRUNC | O_NOFOLLOW, 0o644);
    try {
      await writeAll(file, bytes, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.part`, path);
    await syncFolder(join(path, ".."));
  } catch (error) {
    throw diskError(error, path);
  }
}
