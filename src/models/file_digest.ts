import { createHash } from "node:crypto";

/** Small enough that hashing one holds up the event loop for a millisecond or two. */
const CHUNK_BYTES = 512 << 10;

/** Options of {@linkcode fileDigest}. */
export interface FileDigestOptions {
  /** Ends the work early. */
  signal?: AbortSignal;
}

/**
 * SHA-256 of a file in hex, read in chunks.
 *
 * @throws the signal's reason when it is aborted, or what opening or reading throws.
 */
export async function fileDigest(path: string, { signal }: FileDigestOptions = {}): Promise<string> {
  signal?.throwIfAborted();
  using file = await Deno.open(path);
  const hash = createHash("sha256");
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let read = await file.read(chunk); read !== null; read = await file.read(chunk)) {
    signal?.throwIfAborted();
    hash.update(chunk.subarray(0, read));
  }
  return hash.digest("hex");
}
