import { createHash } from "node:crypto";
import { Bitfield } from "./bitfield.ts";
import { isCount } from "./count.ts";
import { bad } from "./decode_value.ts";

/** Bytes of a chunk of a blob, the last one of which may be shorter: 4 MiB. */
export const CHUNK_BYTES = 4 << 20;

/** Largest blob: 1 TiB, which are 262,144 chunks. */
export const MOST_BLOB_BYTES = 2 ** 40;

/** Bytes of the hash of a chunk. */
export const CHUNK_HASH_BYTES = 32;

/** Bytes of a {@linkcode ChunkList} before its hashes. */
const LIST_HEAD_BYTES = 12;

/** Bytes of {@linkcode encodeHave}'s text before the bitfield. */
const HAVE_HEAD_BYTES = 4;

/** The hashes of a blob's chunks: each chunk can be checked by itself. */
export interface ChunkList {
  /** Bytes of the blob. */
  readonly size: number;
  /** SHA-256 of each chunk in order, 32 bytes each. */
  readonly hashes: Uint8Array<ArrayBuffer>;
}

/** Which chunks of a blob a node has. */
export interface Have {
  /** Grows whenever a chunk is added. */
  readonly version: number;
  /** The chunks. */
  readonly have: Bitfield;
}

/** Whether a text names a blob: the SHA-256 of its bytes, 64 hexadecimal digits in lower case. */
export function isBlobId(text: unknown): text is string {
  return typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
}

/** Whether a number can be the size of a blob. */
export function isBlobSize(size: unknown): size is number {
  return isCount(size) && size > 0 && size <= MOST_BLOB_BYTES;
}

/** How many chunks a blob of a size in bytes has. */
export function chunkCount(size: number): number {
  return Math.ceil(size / CHUNK_BYTES);
}

/**
 * Bytes of a chunk of a blob of a size in bytes.
 *
 * @throws {RangeError} where it has no such chunk.
 */
export function chunkLength(size: number, index: number): number {
  if (!Number.isInteger(index) || index < 0 || index >= chunkCount(size)) {
    throw new RangeError(`A blob of ${size} bytes has no chunk ${index}`);
  }
  return Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES);
}

/**
 * The hash of a chunk in a list.
 *
 * @throws {RangeError} where there is no such chunk.
 */
export function chunkHash({ size, hashes }: ChunkList, index: number): Uint8Array<ArrayBuffer> {
  chunkLength(size, index);
  return hashes.subarray(index * CHUNK_HASH_BYTES, (index + 1) * CHUNK_HASH_BYTES);
}

/**
 * A chunk list as bytes: the size of the blob as u64, the size of a chunk as u32, both with the highest byte first, then the
 * hashes.
 */
export function encodeChunkList({ size, hashes }: ChunkList): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(LIST_HEAD_BYTES + hashes.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(size));
  view.setUint32(8, CHUNK_BYTES);
  bytes.set(hashes, LIST_HEAD_BYTES);
  return bytes;
}

/** How many bytes the chunk list of a blob of a size has. */
export function chunkListBytes(size: number): number {
  return LIST_HEAD_BYTES + chunkCount(size) * CHUNK_HASH_BYTES;
}

/**
 * Reads a {@linkcode ChunkList}. Strict: exactly the bytes that belong to its size, and chunks of {@linkcode CHUNK_BYTES}.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeChunkList(bytes: Uint8Array): ChunkList {
  if (bytes.length < LIST_HEAD_BYTES) throw bad("The list of chunks is not whole");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.getBigUint64(0);
  if (size === 0n || size > MOST_BLOB_BYTES) throw bad("The list of chunks is of a file that is empty or too large");
  if (view.getUint32(8) !== CHUNK_BYTES) throw bad(`The list has chunks of another size than ${CHUNK_BYTES} bytes`);
  if (bytes.length !== chunkListBytes(Number(size))) throw bad("The list of chunks has too many or too few hashes");
  return { size: Number(size), hashes: bytes.slice(LIST_HEAD_BYTES) };
}

/** Which chunks are there as bytes: the version as u32 with the highest byte first, then the bitfield. */
export function encodeHave({ version, have }: Have): Uint8Array<ArrayBuffer> {
  const field = have.bytes();
  const bytes = new Uint8Array(HAVE_HEAD_BYTES + field.length);
  new DataView(bytes.buffer).setUint32(0, version);
  bytes.set(field, HAVE_HEAD_BYTES);
  return bytes;
}

/**
 * Reads which chunks of a blob of `size` bytes are there.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeHave(bytes: Uint8Array, size: number): Have {
  if (bytes.length < HAVE_HEAD_BYTES) throw bad("The list of what is there is not whole");
  const version = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  return { version, have: Bitfield.of(bytes.subarray(HAVE_HEAD_BYTES), chunkCount(size)) };
}

/** Root in hex of the RFC 6962 tree that has the hashes of the chunks as its leaves. */
export function chunkRoot({ hashes }: Pick<ChunkList, "hashes">): string {
  const count = hashes.length / CHUNK_HASH_BYTES;
  if (count === 0) return createHash("sha256").digest("hex");
  // A node of an odd number of subtrees passes its last one on as it is: that is how RFC 6962 splits, seen from below.
  let level = Array.from(
    { length: count },
    (_, index) => hashOf(0, hashes.subarray(index * CHUNK_HASH_BYTES, (index + 1) * CHUNK_HASH_BYTES)),
  );
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const [left, right] = [level[at], level[at + 1]];
      if (left !== undefined) above.push(right === undefined ? left : hashOf(1, left, right));
    }
    level = above;
  }
  return level[0]?.toHex() ?? "";
}

function hashOf(prefix: number, ...parts: Uint8Array[]): Uint8Array {
  const hash = createHash("sha256").update(Uint8Array.of(prefix));
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
