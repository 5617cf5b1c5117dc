import { CHUNK_HASH_BYTES, chunkCount, type ChunkList } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";

/** Keeps the chunk lists of files by the files' digests. */
export interface ChunkLists {
  /** The list of a file with this SHA-256, or undefined where it was never computed. */
  get(sha256: string): Promise<ChunkList | undefined>;
  /** Keeps a list that was computed here, or checked against the whole file. */
  put(sha256: string, list: ChunkList): Promise<void>;
}

/** Lists that are kept in memory: those of some terabytes. */
const MOST_LISTS = 1_024;

/** Keeps chunk lists for as long as the process lives. */
export class MemoryChunkLists implements ChunkLists {
  readonly #lists = new Map<string, ChunkList>();

  /** The list of a file. */
  get(sha256: string): Promise<ChunkList | undefined> {
    return Promise.resolve(this.#lists.get(sha256));
  }

  /** Keeps the list of a file. */
  put(sha256: string, list: ChunkList): Promise<void> {
    this.#lists.delete(sha256);
    this.#lists.set(sha256, list);
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size <= MOST_LISTS) break;
      this.#lists.delete(oldest);
    }
    return Promise.resolve();
  }
}

/** Keeps chunk lists in the node's database, table `chunk_lists`; those of files that are not known any more go. */
export function storedChunkLists(store: Store): ChunkLists {
  return {
    async get(sha256) {
      const row = await store.selectFrom("chunk_lists").select(["size", "hashes"])
        .where("digest", "=", sha256).executeTakeFirst();
      if (row === undefined || row.hashes.length !== chunkCount(row.size) * CHUNK_HASH_BYTES) return undefined;
      return { size: row.size, hashes: new Uint8Array(row.hashes) };
    },
    async put(sha256, { size, hashes }) {
      await store.replaceInto("chunk_lists").values({ digest: sha256, size, hashes }).execute();
      await store.deleteFrom("chunk_lists").where("digest", "!=", sha256)
        .where("digest", "not in", store.selectFrom("model_digests").select("digest")).execute();
    },
  };
}
