import { crc32 } from "node:zlib";

/** Records begin at multiples of this, so that writing one touches no other, and a torn write tears no other. */
export const BLOCK_BYTES = 4 << 10;

/** `ARKJ`, then the version. */
const MAGIC = Uint8Array.of(0x41, 0x52, 0x4b, 0x4a, 0, 0, 0, 1);

const HEADER_BYTES = 64;

/** Where the checksum stands; it covers what is before it, and the lines. */
const CHECKSUM_AT = 48;

/** A group of lines in the journal. Numbers are 64 bits, big-endian, in this order behind eight bytes of magic. */
export interface RingRecord {
  /** One more than that of the record before. */
  number: number;
  /** The last entry that was durable in `audit.log` when this was written. */
  synced: number;
  /** Number of the first entry; one more than `synced`, where there are no lines. */
  first: number;
  /** How many entries. */
  count: number;
  /** Their lines, each with its line feed. */
  bytes: Uint8Array<ArrayBufferLike>;
}

/** Bytes of a record with so many bytes of lines: whole blocks. */
export function recordBytes(length: number): number {
  return Math.ceil((HEADER_BYTES + length) / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Writes a record to the begin of `into`, which is as long as {@linkcode recordBytes} says. */
export function writeRecord(record: RingRecord, into: Uint8Array<ArrayBuffer>): void {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  into.fill(0, 0, HEADER_BYTES);
  into.set(MAGIC);
  const { number, synced, first, count, bytes } = record;
  [number, synced, first, count, bytes.length].forEach((value, index) => {
    view.setBigUint64(MAGIC.length + 8 * index, BigInt(value));
  });
  into.set(bytes, HEADER_BYTES);
  into.fill(0, HEADER_BYTES + bytes.length);
  view.setUint32(CHECKSUM_AT, checksum(into, bytes.length));
}

/** Reads the record that begins at the begin of `from`; undefined where none does, or where it is torn. */
export function readRecord(from: Uint8Array<ArrayBuffer>): RingRecord | undefined {
  if (from.length < BLOCK_BYTES || MAGIC.some((byte, index) => from[index] !== byte)) return undefined;
  const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
  const [number = 0, synced = 0, first = 0, count = 0, length = 0] = [0, 1, 2, 3, 4].map((index) =>
    Number(view.getBigUint64(MAGIC.length + 8 * index))
  );
  if (![number, synced, first, count, length].every(Number.isSafeInteger)) return undefined;
  if (recordBytes(length) > from.length || view.getUint32(CHECKSUM_AT) !== checksum(from, length)) return undefined;
  return { number, synced, first, count, bytes: from.subarray(HEADER_BYTES, HEADER_BYTES + length) };
}

function checksum(record: Uint8Array, length: number): number {
  return crc32(record.subarray(HEADER_BYTES, HEADER_BYTES + length), crc32(record.subarray(0, CHECKSUM_AT)));
}
