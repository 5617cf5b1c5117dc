import { createHash, type Hash } from "node:crypto";
import { CHUNK_BYTES, CHUNK_HASH_BYTES, chunkCount, type ChunkList } from "@ark/node/protocol";

/** Small enough that hashing one holds up the event loop for a millisecond or two. */
const READ_BYTES = 512 << 10;

/** Options of {@linkcode fileDigest}. */
export interface FileDigestOptions {
  /** Ends the work early. */
  signal?: AbortSignal;
}

/** A file's digest, and those of its chunks. */
export interface FileHashes {
  /** SHA-256 in hex. */
  readonly sha256: string;
  /** Hashes of its chunks. */
  readonly list: ChunkList;
}

/**
 * SHA-256 of a file in hex, read in chunks.
 *
 * @throws the signal's reason when it is aborted, or what opening or reading throws.
 */
export async function fileDigest(path: string, options: FileDigestOptions = {}): Promise<string> {
  const hash = createHash("sha256");
  await readThrough(path, { ...options, take: (bytes) => void hash.update(bytes) });
  return hash.digest("hex");
}

/**
 * SHA-256 of a file and of each of its chunks, both in one pass.
 *
 * @throws the signal's reason when it is aborted, or what opening or reading throws.
 */
export async function fileHashes(path: string, options: FileDigestOptions = {}): Promise<FileHashes> {
  const whole = createHash("sha256");
  const hashes: Uint8Array[] = [];
  let chunk: Hash = createHash("sha256");
  let size = 0;
  const end = () => {
    hashes.push(new Uint8Array(chunk.digest()));
    chunk = createHash("sha256");
  };
  await readThrough(path, {
    ...options,
    take(bytes) {
      whole.update(bytes);
      for (let at = 0; at < bytes.length;) {
        const length = Math.min(bytes.length - at, CHUNK_BYTES - size % CHUNK_BYTES);
        chunk.update(bytes.subarray(at, at + length));
        at += length;
        size += length;
        if (size % CHUNK_BYTES === 0) end();
      }
    },
  });
  if (hashes.length < chunkCount(size)) end();
  const list = { size, hashes: new Uint8Array(hashes.length * CHUNK_HASH_BYTES) };
  for (const [index, hash] of hashes.entries()) list.hashes.set(hash, index * CHUNK_HASH_BYTES);
  return { sha256: whole.digest("hex"), list };
}

async function readThrough(
  path: string,
  { signal, take }: FileDigestOptions & { take(bytes: Uint8Array): void },
): Promise<void> {
  signal?.throwIfAborted();
  using file = await Deno.open(path);
  const buffer = new Uint8Array(READ_BYTES);
  for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
    signal?.throwIfAborted();
    take(buffer.subarray(0, read));
  }
}
