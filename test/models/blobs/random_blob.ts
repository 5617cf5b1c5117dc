import { createHash } from "node:crypto";
import { CHUNK_BYTES, chunkCount, chunkLength, type ChunkList } from "@ark/node/protocol";
import { Random } from "../../fuzz/random.ts";

/** A file of random bytes, in memory. */
export interface RandomBlob {
  bytes: Uint8Array<ArrayBuffer>;
  sha256: string;
  size: number;
  list: ChunkList;
  chunk(index: number): Uint8Array<ArrayBuffer>;
}

/** Makes a file of a size; the same for the same seed. */
export function randomBlob(size: number, seed = 1): RandomBlob {
  const random = new Random(seed);
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = random.below(2 ** 31) | 1;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return blobOf(new Uint8Array(words.buffer).subarray(0, size));
}

/** What is known of a file with these bytes. */
export function blobOf(bytes: Uint8Array<ArrayBuffer>): RandomBlob {
  const size = bytes.length;
  const chunk = (index: number) => bytes.subarray(index * CHUNK_BYTES, index * CHUNK_BYTES + chunkLength(size, index));
  const hashes = new Uint8Array(32 * chunkCount(size));
  for (let index = 0; index < chunkCount(size); index++) {
    hashes.set(createHash("sha256").update(chunk(index)).digest(), 32 * index);
  }
  return { bytes, size, sha256: createHash("sha256").update(bytes).digest("hex"), list: { size, hashes }, chunk };
}
