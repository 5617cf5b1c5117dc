import { createHash } from "node:crypto";
import { Bitfield, CHUNK_HASH_BYTES, chunkCount, type ChunkList, chunkRoot } from "@ark/node/protocol";

/** What a file that has not come whole is the beginning of. */
export interface PartIdentity {
  /** SHA-256 of the whole file, hex. */
  readonly sha256: string;
  /** Its hashes. */
  readonly list: ChunkList;
}

/** What is noted of a file that has not come whole. */
export interface PartState {
  /** Chunks that are certain to be on the disk. */
  readonly certain: Bitfield;
  /** Chunks that were checked and written, and may not have reached the disk. */
  readonly written: ReadonlySet<number>;
}

const MAGIC = new TextEncoder().encode("ark-part/1\n\0\0\0\0\0");
/** Magic, SHA-256 of the file, root of its list, its size. */
const HEAD_BYTES = MAGIC.length + 2 * CHUNK_HASH_BYTES + 8;

/** Bytes of one entry of the journal behind the state. */
export const ENTRY_BYTES = 4;

/** Bytes of the state of a file of a size, where the journal begins. */
export function stateBytes(size: number): number {
  return HEAD_BYTES + Math.ceil(chunkCount(size) / 8) + CHUNK_HASH_BYTES;
}

/** The state as bytes, without a journal: what it is of, the chunks that are certain, and a SHA-256 of all that. */
export function encodeState({ sha256, list }: PartIdentity, certain: Bitfield): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(stateBytes(list.size));
  bytes.set(MAGIC);
  bytes.set(Uint8Array.fromHex(sha256), MAGIC.length);
  bytes.set(Uint8Array.fromHex(chunkRoot(list)), MAGIC.length + CHUNK_HASH_BYTES);
  new DataView(bytes.buffer).setBigUint64(MAGIC.length + 2 * CHUNK_HASH_BYTES, BigInt(list.size));
  bytes.set(certain.bytes(), HEAD_BYTES);
  const end = bytes.length - CHUNK_HASH_BYTES;
  bytes.set(createHash("sha256").update(bytes.subarray(0, end)).digest(), end);
  return bytes;
}

/** An entry of the journal: the number of a chunk and one, so that a hole says nothing. */
export function encodeEntry(index: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ENTRY_BYTES);
  new DataView(bytes.buffer).setUint32(0, index + 1);
  return bytes;
}

/**
 * Reads a state with its journal. Null where it is damaged or of another file: then nobody knows which chunks are there. Where
 * it is of the same file by another list, nothing in it is certain.
 */
export function decodeState(bytes: Uint8Array, { sha256, list }: PartIdentity): PartState | null {
  const { size } = list;
  const count = chunkCount(size);
  const length = stateBytes(size);
  if (bytes.length < length) return null;
  const end = length - CHUNK_HASH_BYTES;
  const sum = createHash("sha256").update(bytes.subarray(0, end)).digest("hex");
  if (sum !== bytes.subarray(end, length).toHex()) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const root = bytes.subarray(MAGIC.length + CHUNK_HASH_BYTES, MAGIC.length + 2 * CHUNK_HASH_BYTES).toHex();
  if (
    bytes.subarray(0, MAGIC.length).toHex() !== MAGIC.toHex() ||
    bytes.subarray(MAGIC.length, MAGIC.length + CHUNK_HASH_BYTES).toHex() !== sha256 ||
    view.getBigUint64(MAGIC.length + 2 * CHUNK_HASH_BYTES) !== BigInt(size)
  ) return null;
  const noted = Bitfield.of(bytes.subarray(HEAD_BYTES, end), count);
  const written = new Set<number>();
  for (let at = length; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const index = view.getUint32(at) - 1;
    if (index >= 0 && index < count) written.add(index);
  }
  if (root === chunkRoot(list)) return { certain: noted, written };
  for (let index = 0; index < count; index++) if (noted.get(index)) written.add(index);
  return { certain: new Bitfield(count), written };
}
