import type { Store } from "@ark/node/store";

/** What a file looked like when it was hashed: as long as this stays the same, so does its digest. */
export interface FileStamp {
  /** Absolute path. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Time of the last change, in milliseconds since 1970. */
  readonly mtimeMs: number;
}

/** Keeps the digests of files that did not change. */
export interface DigestCache {
  /** The SHA-256 in hex, or undefined where the file was never hashed in this state. */
  get(stamp: FileStamp): Promise<string | undefined>;
  /** Keeps the SHA-256 of a file, in place of that of an earlier state. */
  put(stamp: FileStamp, digest: string): Promise<void>;
}

/** Keeps digests for as long as the process lives. */
export class MemoryDigestCache implements DigestCache {
  readonly #digests = new Map<string, FileStamp & { digest: string }>();

  /** The digest of a file in this state. */
  get({ path, size, mtimeMs }: FileStamp): Promise<string | undefined> {
    const known = this.#digests.get(path);
    const same = known?.size === size && known.mtimeMs === mtimeMs;
    return Promise.resolve(same ? known.digest : undefined);
  }

  /** Keeps the digest of a file in this state. */
  put({ path, size, mtimeMs }: FileStamp, digest: string): Promise<void> {
    this.#digests.set(path, { path, size, mtimeMs, digest });
    return Promise.resolve();
  }
}

/** Keeps digests in the node's database, table `model_digests`, so that a restart need not hash again. */
export function storeDigestCache(store: Store): DigestCache {
  return {
    async get({ path, size, mtimeMs }) {
      const row = await store.selectFrom("model_digests").select("digest")
        .where("path", "=", path).where("size", "=", size).where("mtime_ms", "=", mtimeMs).executeTakeFirst();
      return row?.digest;
    },
    async put({ path, size, mtimeMs }, digest) {
      await store.replaceInto("model_digests").values({ path, size, mtime_ms: mtimeMs, digest }).execute();
    },
  };
}
