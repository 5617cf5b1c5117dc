import assert from "node:assert/strict";
import { GGUF_LIMITS, type GgufHeader, parseGgufHeader } from "../../../src/models/gguf_header.ts";
import { tensorType } from "../../../src/models/tensor_type.ts";
import { ggufBytes, METADATA } from "../../models/gguf_bytes.ts";
import { mutateBytes } from "../mutate.ts";
import { type FuzzTarget, refusedBy, showBytes, shrinkBytes } from "../target.ts";

const CORPUS: Uint8Array[] = [
  ggufBytes({ data: 256 }),
  ggufBytes({ version: 2, data: 64, tensors: [{ name: "q", dimensions: [32], type: 2, offset: 0 }] }),
  ggufBytes({ tensors: [], data: 0 }),
  ggufBytes({
    data: 700,
    pairs: [
      ...METADATA,
      ["general.alignment", { u32: 64 }],
      ["a.flag", { bool: 1 }],
      ["a.large", { u64: 2n ** 63n }],
      ["a.text", { text: "x".repeat(1_100) }],
    ],
    tensors: [
      { name: "a", dimensions: [256, 1], type: 12, offset: 0 },
      { name: "b", dimensions: [4, 2, 3, 2], type: 1, offset: 192 },
      { name: "c", dimensions: [8], type: 24, offset: 576 },
    ],
    alignment: 64,
  }),
];

const LITTLE_ENDIAN = true;

/** Sizes of the scalars by their kind. */
const SIZES: Record<number, bigint> = {
  0: 1n,
  1: 1n,
  2: 2n,
  3: 2n,
  4: 4n,
  5: 4n,
  6: 4n,
  7: 1n,
  10: 8n,
  11: 8n,
  12: 8n,
};

/** Reads a file without a thought of speed or memory, in whole numbers of any size; throws where it is not sound. */
function plainly(bytes: Uint8Array): { tensors: number; pairs: number; end: bigint } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = BigInt(bytes.length);
  let at = 4n;
  const step = (count: bigint): number => {
    assert.ok(count >= 0n && at + count <= size, "It reads past the end of the file");
    at += count;
    return Number(at - count);
  };
  const u32 = () => view.getUint32(step(4n), LITTLE_ENDIAN);
  const u64 = () => view.getBigUint64(step(8n), LITTLE_ENDIAN);
  const text = () => step(u64());
  const version = u32();
  assert.ok(version === 2 || version === 3);
  const [tensors, pairs] = [u64(), u64()];
  assert.ok(tensors <= BigInt(GGUF_LIMITS.tensors) && pairs <= BigInt(GGUF_LIMITS.pairs));
  let alignment = 32n;
  const value = (kind: number): void => {
    if (kind === 8) return void text();
    if (kind === 9) {
      const [inner, count] = [u32(), u64()];
      assert.notEqual(inner, 9);
      for (let i = 0n; inner === 8 && i < count; i++) text();
      if (inner !== 8) step(count * (SIZES[inner] ?? assert.fail("An unknown kind")));
      return;
    }
    step(SIZES[kind] ?? assert.fail("An unknown kind"));
  };
  for (let i = 0n; i < pairs; i++) {
    const start = Number(at);
    text();
    const key = new TextDecoder().decode(bytes.subarray(start + 8, Number(at)));
    const kind = u32();
    const place = Number(at);
    value(kind);
    if (key === "general.alignment" && kind === 4) alignment = BigInt(view.getUint32(place, LITTLE_ENDIAN));
  }
  let end = 0n;
  for (let i = 0n; i < tensors; i++) {
    text();
    const dimensions = u32();
    assert.ok(dimensions <= 4);
    let elements = 1n;
    for (let d = 0; d < dimensions; d++) elements *= u64();
    const type = tensorType(u32()) ?? assert.fail("An unknown type");
    const offset = u64();
    const last = offset + elements / BigInt(type.blockSize) * BigInt(type.blockBytes);
    if (last > end) end = last;
  }
  const data = (at + alignment - 1n) / alignment * alignment;
  assert.ok(tensors === 0n || data + end <= size, "A tensor passes the end of the file");
  return { tensors: Number(tensors), pairs: Number(pairs), end: data };
}

async function check(bytes: Uint8Array): Promise<boolean> {
  let at = 0;
  const source = {
    read(buffer: Uint8Array) {
      const part = bytes.subarray(at, at + buffer.length);
      buffer.set(part);
      at += part.length;
      return Promise.resolve(part.length === 0 ? null : part.length);
    },
  };
  let header: GgufHeader;
  try {
    header = await parseGgufHeader(source, bytes.length);
  } catch (error) {
    return refusedBy(error, SyntaxError);
  }
  const sound = plainly(bytes);
  assert.equal(header.tensorCount, sound.tensors);
  assert.equal(BigInt(header.dataOffset), sound.end);
  assert.ok(header.metadata.size <= sound.pairs);
  assert.ok(Number.isSafeInteger(header.parameterCount));
  return true;
}

/** The header of a model's file. */
export const ggufHeader: FuzzTarget<Uint8Array> = {
  name: "gguf_header",
  promise: "A header is refused with a SyntaxError, or is sound by a plain reading, with every tensor inside the file.",
  corpus: CORPUS,
  covers: ["/src/models/gguf_"],
  mutate: (random, bytes, other) => mutateBytes(random, bytes, other),
  check,
  show: showBytes,
  shrink: shrinkBytes,
};
