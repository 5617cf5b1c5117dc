import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { NodeId } from "@ark/node/identity";
import {
  ArkError,
  CHUNK_BYTES,
  type ChunkList,
  chunkListBytes,
  chunkRoot,
  decodeChunkList,
  decodeSignedManifest,
  type ManifestFile,
  MOST_MANIFEST_BYTES,
  reasonOf,
  type SignedManifest,
} from "@ark/node/protocol";
import { fileHashes } from "../file_digest.ts";
import type { ModelStore } from "../model_store.ts";
import type { PullProgress } from "../pull/pull_progress.ts";
import { blobName, BLOBS_NAME, carriedFolder, chunksName, MANIFEST_NAME, openCarried } from "./carried_files.ts";
import { readChunk } from "./chunk_io.ts";
import type { BringOptions, FileOrigin } from "./obtain_files.ts";
import type { PartBlob } from "./part_blob.ts";

/** Options of {@linkcode importModel}. */
export interface ImportOptions {
  /** Where it goes. */
  store: Pick<ModelStore, "obtain">;
  /** Who a node is to the owner, as the end of a sentence that begins with `signed by`. */
  signer(id: NodeId): string;
  /** Ends it; what came stays, and the next import goes on from there. */
  signal: AbortSignal;
  /** Told how far it is. */
  tell(progress: PullProgress): void;
}

/** A manifest with spaces, and its signature. */
const MOST_TEXT_BYTES = 2 * MOST_MANIFEST_BYTES;
/** Chunks that are read at once. */
const LANES = 2;

/**
 * Takes a model from a folder that {@linkcode exportModel} wrote, on this machine or another one. It is checked as one that
 * comes from a peer: each chunk, the digest of each file, the header.
 *
 * @throws {ArkError} with a sentence. @throws the signal's reason when it is aborted.
 */
export async function importModel(directory: string, { store, signer, signal, tell }: ImportOptions): Promise<void> {
  const signed = await readManifest(directory);
  const { manifest, signed_by } = signed;
  tell({ status: `reading ${manifest.model}, signed by ${signer(signed_by)}` });
  const blobs = await carriedFolder(directory, BLOBS_NAME);
  for (const file of manifest.files) {
    const { file: handle, size } = await openCarried(blobs, blobName(file.sha256));
    await handle.close();
    if (size !== file.size) {
      throw new ArkError(
        "unavailable",
        `${
          join(blobs, blobName(file.sha256))
        } has ${size} bytes and should have ${file.size}: it was not copied whole, ` +
          "copy it again",
      );
    }
  }
  const origin = new FolderOrigin(blobs);
  await store.obtain(signed, { origin, from: `the folder ${directory}`, signal, tell });
}

/**
 * Reads the manifest in a folder.
 *
 * @throws {ArkError} `model_not_found` where there is none, `bad_request` where it is none.
 */
export async function readManifest(directory: string): Promise<SignedManifest> {
  const { file, size } = await openCarried(directory, MANIFEST_NAME);
  try {
    if (size > MOST_TEXT_BYTES) throw new ArkError("bad_request", `${MANIFEST_NAME} is too long for a manifest`);
    return decodeSignedManifest(JSON.parse(await file.readFile("utf8")));
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new ArkError("bad_request", `${MANIFEST_NAME} in ${directory} is damaged: it is not JSON`);
    }
    if (error instanceof ArkError) throw new ArkError(error.code, `${MANIFEST_NAME} in ${directory}: ${error.message}`);
    throw new ArkError("unavailable", `Cannot read ${MANIFEST_NAME} in ${directory}: ${reasonOf(error)}`);
  } finally {
    await file.close();
  }
}

/** Files in a folder, by their digests. */
class FolderOrigin implements FileOrigin {
  readonly #blobs: string;

  constructor(blobs: string) {
    this.#blobs = blobs;
  }

  async list({ sha256, size, root }: ManifestFile, signal: AbortSignal): Promise<ChunkList> {
    const list = await this.#storedList(sha256, size);
    if (list !== null && list.size === size && chunkRoot(list) === root) return list;
    // Without them the file is as good, only that a damage is not told by its place.
    return (await fileHashes(join(this.#blobs, blobName(sha256)), { signal })).list;
  }

  async bring(part: PartBlob, { file: { name, sha256, size }, signal, tell }: BringOptions): Promise<void> {
    const { file } = await openCarried(this.#blobs, blobName(sha256));
    const status = `importing ${sha256.slice(0, 12)}`;
    const told = { status, digest: `sha256:${sha256}`, total: size };
    const missing = Array.from({ length: part.have.length }, (_, index) => index).filter((index) =>
      !part.have.get(index)
    );
    const todo = missing.values();
    const damaged: number[] = [];
    tell({ ...told, completed: part.bytes });
    const lane = async () => {
      const buffer = new Uint8Array(CHUNK_BYTES);
      for (const index of todo) {
        signal.throwIfAborted();
        const bytes = await readChunk(file, { index, size, into: buffer });
        if (!await part.write(index, bytes)) damaged.push(index);
        tell({ ...told, completed: part.bytes });
      }
    };
    try {
      await everyLane(Array.from({ length: LANES }, lane));
    } finally {
      await file.close();
    }
    const [first] = damaged.sort((a, b) => a - b);
    if (first === undefined) return;
    throw new ArkError(
      "unavailable",
      `${damaged.length === 1 ? "A piece" : `${damaged.length} pieces`} of ${name} in ${this.#blobs} ` +
        `${damaged.length === 1 ? "is" : "are"} damaged (the first at byte ${first * CHUNK_BYTES}): copy ` +
        `${blobName(sha256)} there again; what is right is kept`,
    );
  }

  async #storedList(sha256: string, size: number): Promise<ChunkList | null> {
    let file: FileHandle | undefined;
    try {
      const found = await openCarried(this.#blobs, chunksName(sha256));
      file = found.file;
      return found.size === chunkListBytes(size) ? decodeChunkList(await file.readFile()) : null;
    } catch (error) {
      if (error instanceof ArkError && error.code !== "forbidden") return null;
      throw error;
    } finally {
      await file?.close();
    }
  }
}

/** Waits for all, and throws what the first failed with. */
async function everyLane(lanes: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(lanes)) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
}
