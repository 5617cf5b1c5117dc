/** Splits a GGUF file as `llama-gguf-split` does: each part has some of the tensors, and the first has all metadata. */

const LITTLE_ENDIAN = true;
const ALIGNMENT = 32;
/** Bytes of a value by its kind. */
const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

interface SplitTensor {
  /** Name, dimensions and type as they stand in the header. */
  head: Uint8Array;
  data: Uint8Array;
}

/** The parts of a file, in order. */
export function splitGguf(bytes: Uint8Array<ArrayBuffer>, parts: number): Uint8Array<ArrayBuffer>[] {
  const { pairs, pairCount, tensors } = parse(bytes);
  const each = Math.ceil(tensors.length / parts);
  return Array.from({ length: parts }, (_, part) => {
    const here = tensors.slice(part * each, (part + 1) * each);
    const split = [u16("split.no", part), u16("split.count", parts), i32("split.tensors.count", tensors.length)];
    const heads: Uint8Array[] = [];
    let offset = 0;
    for (const { head, data } of here) {
      heads.push(head, number(offset, 8));
      offset = aligned(offset + data.length);
    }
    const header = joined([
      bytes.subarray(0, 8),
      number(here.length, 8),
      number((part === 0 ? pairCount : 0) + split.length, 8),
      ...part === 0 ? [pairs] : [],
      ...split,
      ...heads,
    ]);
    return joined([padded(header), ...here.map(({ data }) => padded(data))]);
  });
}

function parse(bytes: Uint8Array<ArrayBuffer>) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const u64 = (at: number) => Number(view.getBigUint64(at, LITTLE_ENDIAN));
  const u32 = (at: number) => view.getUint32(at, LITTLE_ENDIAN);
  const [tensorCount, pairCount] = [u64(8), u64(16)];
  let at = 24;
  const pass = (kind: number): void => {
    if (kind === 8) at += 8 + u64(at);
    else if (kind === 9) {
      const [element, count] = [u32(at), u64(at + 4)];
      at += 12;
      if (element !== 8) at += count * (SIZES[element] ?? 0);
      else for (let i = 0; i < count; i++) pass(8);
    } else at += SIZES[kind] ?? 0;
  };
  for (let i = 0; i < pairCount; i++) {
    at += 8 + u64(at);
    const kind = u32(at);
    at += 4;
    pass(kind);
  }
  const pairs = bytes.subarray(24, at);
  const found: { head: Uint8Array; offset: number }[] = [];
  for (let i = 0; i < tensorCount; i++) {
    const start = at;
    at += 8 + u64(at);
    at += 4 + u32(at) * 8 + 4;
    found.push({ head: bytes.subarray(start, at), offset: u64(at) });
    at += 8;
  }
  const begin = aligned(at);
  const offsets = [...found.map(({ offset }) => offset), bytes.length - begin].sort((a, b) => a - b);
  const tensors = found.map(({ head, offset }): SplitTensor => {
    const end = offsets.find((other) => other > offset) ?? bytes.length - begin;
    return { head, data: bytes.subarray(begin + offset, begin + end) };
  });
  return { pairs, pairCount, tensors };
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(aligned(bytes.length));
  whole.set(bytes);
  return whole;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function number(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number(BigInt(value) >> BigInt(8 * i) & 0xffn));
}

function key(name: string): Uint8Array {
  return joined([number(name.length, 8), new TextEncoder().encode(name)]);
}

function u16(name: string, value: number): Uint8Array {
  return joined([key(name), number(2, 4), number(value, 2)]);
}

function i32(name: string, value: number): Uint8Array {
  return joined([key(name), number(5, 4), number(value, 4)]);
}
