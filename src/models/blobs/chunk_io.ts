import type { FileHandle } from "node:fs/promises";
import { ArkError, CHUNK_BYTES, chunkHash, chunkLength, type ChunkList } from "@ark/node/protocol";

/** Whether bytes are a chunk of a list, hashed by a thread of the system's pool: the event loop goes on meanwhile. */
export async function isChunk(
  list: ChunkList,
  { index, bytes }: { index: number; bytes: Uint8Array },
): Promise<boolean> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  const wanted = chunkHash(list, index);
  return digest.every((byte, at) => byte === wanted[at]);
}

/** Bytes outside of shared memory, which the system's pool does not take. */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : bytes;
}

/**
 * Reads a chunk of a file.
 *
 * @throws {ArkError} `model_not_found` where the file ends before it.
 */
export async function readChunk(
  file: FileHandle,
  { index, size, into }: { index: number; size: number; into?: Uint8Array | undefined },
): Promise<Uint8Array> {
  const length = chunkLength(size, index);
  const bytes = into === undefined ? new Uint8Array(length) : into.subarray(0, length);
  if (bytes.length < length) throw new RangeError("The buffer is smaller than the chunk");
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, index * CHUNK_BYTES + done);
    if (bytesRead === 0) throw new ArkError("model_not_found", "The file is shorter than it was");
    done += bytesRead;
  }
  return bytes;
}
