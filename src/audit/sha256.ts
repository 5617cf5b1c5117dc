import { MEMORY_BYTES, OUTPUT, sha256Module, START } from "./sha256_module.ts";

/**
 * SHA-256 without the way into the runtime and back, which costs as much as hashing a whole line, and several times as
 * much as hashing a node of the tree. `node:crypto` is the reference that the tests hold it against.
 */
const { memory, compress, finish } = new WebAssembly.Instance(new WebAssembly.Module(sha256Module()))
  .exports as unknown as {
    memory: WebAssembly.Memory;
    /** Takes so many blocks, of 64 bytes each, from a place of the memory into the state. */
    compress(at: number, blocks: number): void;
    /** Writes the state as the hash. */
    finish(): void;
  };

const BLOCK = 64;
/** Behind the state and the hash. */
const INPUT = 64;
/** Whole blocks that fit behind each other, with one more for the padding. */
const ROOM = MEMORY_BYTES - INPUT - 2 * BLOCK;

const state = new Uint32Array(memory.buffer, 0, 8);
const hash = new Uint8Array(memory.buffer, OUTPUT, 32);
const input = new Uint8Array(memory.buffer, INPUT);
const words = new DataView(memory.buffer, INPUT);
const NONE = new Uint8Array(0);

/** What is hashed: bytes from a place to another, behind a prefix. */
export interface Hashed {
  /** At most 63 bytes. */
  prefix?: Uint8Array;
  /** The bytes. */
  bytes: Uint8Array;
  /** The first of them that counts. */
  start?: number;
  /** The first of them that does not count any more. */
  end?: number;
}

/** Hashes bytes and writes the 32 bytes to `out` at `at`. */
export function sha256Into(out: Uint8Array, at: number, hashed: Hashed): void {
  digest(hashed);
  out.set(hash, at);
}

/** Hashes bytes; hexadecimal. */
export function sha256Hex(hashed: Hashed): string {
  digest(hashed);
  return hash.toHex();
}

function digest({ prefix = NONE, bytes, start = 0, end = bytes.length }: Hashed): void {
  const length = prefix.length + end - start;
  state.set(START);
  input.set(prefix);
  let filled = prefix.length;
  let from = start;
  // Only what is longer than the memory goes through it piece by piece.
  for (; filled + end - from > ROOM; filled = 0) {
    input.set(bytes.subarray(from, from + ROOM - filled), filled);
    compress(INPUT, ROOM / BLOCK);
    from += ROOM - filled;
  }
  input.set(from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end), filled);
  filled += end - from;
  const blocks = (filled + 8 >>> 6) + 1;
  input.fill(0, filled, blocks * BLOCK);
  input[filled] = 0x80;
  words.setUint32(blocks * BLOCK - 8, Math.floor(length / 2 ** 29));
  words.setUint32(blocks * BLOCK - 4, length << 3);
  compress(INPUT, blocks);
  finish();
}
