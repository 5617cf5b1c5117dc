/**
 * How long a frame of Zstandard is (RFC 8878), found by stepping over its blocks: a ZIM file does not say where a cluster
 * ends.
 */
import type { ZimSource } from "./zim_source.ts";

const MAGIC = 0xfd2f_b528;
const LITTLE_ENDIAN = true;
/** Bytes of the descriptor of the window, of the dictionary's id, and of the size, by what the first byte says. */
const DICTIONARY_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];

/**
 * Bytes of the frame that begins at some place.
 *
 * @throws {SyntaxError} where there is none, or it is longer than `most`.
 */
export async function zstdFrameLength(
  source: ZimSource,
  { at, most }: { at: number; most: number },
): Promise<number> {
  const head = await source.read(at, 5);
  const view = new DataView(head.buffer);
  if (view.getUint32(0, LITTLE_ENDIAN) !== MAGIC) {
    throw new SyntaxError("A cluster of it is not what it says that it is");
  }
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = descriptor >> 6 === 0 && single ? 1 : SIZE_BYTES[descriptor >> 6] ?? 0;
  let length = 5 + (single ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0) + sizeBytes;
  for (let last = false; !last;) {
    const block = await source.read(at + length, 3);
    const header = (block[0] ?? 0) | (block[1] ?? 0) << 8 | (block[2] ?? 0) << 16;
    last = (header & 1) !== 0;
    // A block of one byte that is repeated has that byte alone.
    const repeated = (header >> 1 & 3) === 1;
    if ((header >> 1 & 3) === 3) throw new SyntaxError("A cluster of it is damaged");
    length += 3 + (repeated ? 1 : header >> 3);
    if (length > most) throw new SyntaxError("A cluster of it is larger than this node reads");
  }
  return length + ((descriptor & 4) === 0 ? 0 : 4);
}
