import { ArkError, type ChunkList } from "@ark/node/protocol";
import type { FileStamp } from "../digest_cache.ts";
import { fileHashes } from "../file_digest.ts";
import { millisecondsOf } from "../model_folder.ts";
import type { ChunkLists } from "./chunk_lists.ts";

/** A file of a model whose digest was computed here; links in its path are resolved. */
export interface HashedFile extends FileStamp {
  /** SHA-256 in hex. */
  readonly sha256: string;
}

/** Chunk lists that are known, or computed when they are wanted: once for all who ask meanwhile. */
export class ChunkListing {
  readonly #lists: ChunkLists;
  readonly #running = new Map<string, Promise<ChunkList>>();

  /** Keeps what it computes. */
  constructor(lists: ChunkLists) {
    this.#lists = lists;
  }

  /**
   * The list of a file. The signal ends the computing for all who ask for it.
   *
   * @throws {ArkError} `model_not_found` where the file is not what it was.
   * @throws the signal's reason when it is aborted.
   */
  async of(file: HashedFile, signal?: AbortSignal): Promise<ChunkList> {
    const known = await this.#lists.get(file.sha256);
    if (known !== undefined) return known;
    const running = this.#running.get(file.sha256) ??
      this.#compute(file, signal).finally(() => this.#running.delete(file.sha256));
    this.#running.set(file.sha256, running);
    return await running;
  }

  /** Keeps a list that was computed elsewhere, and checked against the whole file. */
  async put(sha256: string, list: ChunkList): Promise<void> {
    await this.#lists.put(sha256, list);
  }

  async #compute({ path, size, mtimeMs, sha256 }: HashedFile, signal: AbortSignal | undefined): Promise<ChunkList> {
    try {
      const hashes = await fileHashes(path, signal === undefined ? {} : { signal });
      const now = await Deno.stat(path);
      if (hashes.sha256 === sha256 && now.size === size && millisecondsOf(now) === mtimeMs) {
        await this.#lists.put(sha256, hashes.list);
        return hashes.list;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    throw new ArkError("model_not_found", "The file is not what it was when its digest was computed");
  }
}
