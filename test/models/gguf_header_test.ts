import assert from "node:assert/strict";
import fc from "fast-check";
import { GGUF_LIMITS, type GgufHeader, parseGgufHeader, readGgufHeader } from "@ark/node/models";
import { tensorType } from "../../src/models/tensor_type.ts";
import { ggufBytes, type GgufParts, METADATA, type Value } from "./gguf_bytes.ts";

const LITTLE_ENDIAN = true;
const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";

Deno.test("readGgufHeader() reads a real model", async () => {
  const header = await readGgufHeader(FIXTURE);
  assert.equal(header.version, 3);
  assert.equal(header.tensorCount, 75);
  assert.equal(header.parameterCount, 8_917_248);
  assert.equal(header.metadata.get("general.architecture"), "llama");
  assert.equal(header.metadata.get("llama.context_length"), 1024);
  assert.ok(!header.metadata.has("tokenizer.ggml.tokens"));
  assert.deepEqual([...header.elementsByType.keys()].sort(), ["f32", "q4_0"]);
});

Deno.test("parseGgufHeader() does not depend on how the bytes arrive", async () => {
  const bytes = ggufBytes();
  const whole = await parse(bytes);
  for (const step of [1, 3, 7, 100]) assert.deepEqual(await parse(bytes, { step }), whole);
});

const LONG = "x".repeat(70_000);
const WRONG: [string, GgufParts, RegExp][] = [
  ["another kind of file", { magic: "GGML" }, /does not begin with GGUF/],
  ["an old version", { version: 1 }, /version 1 is not 2 or 3/],
  ["a big-endian file", { version: 0x03000000 }, /version 50331648 is not 2 or 3/],
  ["too many tensors", { tensorCount: 100_001n }, /100001 tensors/],
  ["too many pairs", { pairCount: 100_001n }, /100001 key-value pairs/],
  ["a count beyond 2^53", { pairCount: 1n << 60n }, /too large/],
  ["fewer pairs than stated", { pairCount: 5_000n }, /header|kind|text|key|states/],
  ["a long key", { pairs: [[LONG, { u32: 1 }]] }, /70000 bytes in a key/],
  ["the same key twice", { pairs: [...METADATA, ["llama.block_count", { u32: 3 }]] }, /same key twice/],
  ["an unknown kind", { pairs: [["a", { raw: bytesOf(13, 0, 0, 0) }]] }, /unknown kind 13/],
  ["a truth value of 2", { pairs: [["a", { bool: 2 }]] }, /neither 0 nor 1/],
  [
    "an array of arrays",
    { pairs: [["a", { raw: bytesOf(9, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0) }]] },
    /arrays of/,
  ],
  [
    "an endless array",
    { pairs: [["a", { raw: bytesOf(9, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0) }]] },
    /longer than/,
  ],
  [
    "endless texts",
    { pairs: [["a", { raw: bytesOf(9, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0) }]] },
    /passes its end/,
  ],
  ["an odd alignment", { pairs: [["general.alignment", { u32: 24 }]] }, /power of two/],
  ["an alignment of 0", { pairs: [["general.alignment", { u32: 0 }]] }, /power of two/],
  ["a tensor twice", { tensors: [tensor({}), tensor({})] }, /same name/],
  ["a long name", { tensors: [tensor({ name: "n".repeat(64) })] }, /64 bytes in a tensor's name/],
  ["five dimensions", { tensors: [tensor({ dimensions: [1, 1, 1, 1, 1] })] }, /5 dimensions/],
  ["a dimension of 0", { tensors: [tensor({ dimensions: [0] })] }, /without elements/],
  ["a retired type", { tensors: [tensor({ type: 4 })] }, /unknown type 4/],
  ["broken blocks", { tensors: [tensor({ type: 2, dimensions: [33] })] }, /whole blocks/],
  ["a product that overflows", { tensors: [tensor({ dimensions: [1 << 30, 1 << 30, 1 << 30] })] }, /too large/],
  ["an offset that overflows", { tensors: [tensor({ offset: (1n << 64n) - 32n })] }, /too large/],
  ["an offset between blocks", { tensors: [tensor({ offset: 8 })] }, /not aligned/],
  ["a tensor beyond the end", { tensors: [tensor({ offset: 4096 })] }, /ends before its tensors do \(256 bytes/],
  ["missing data", { data: 255 }, /ends before its tensors do \(1 bytes/],
];
for (const [what, parts, message] of WRONG) {
  Deno.test(`parseGgufHeader() refuses ${what}`, async () => {
    await assert.rejects(parse(ggufBytes(parts)), (error) => {
      assert.ok(error instanceof SyntaxError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("parseGgufHeader() refuses every cut of a header", async () => {
  const bytes = ggufBytes({ data: 0, tensors: [] });
  const end = (await parse(bytes)).dataOffset;
  for (let size = 0; size < end - 32; size++) await assert.rejects(parse(bytes.slice(0, size)), SyntaxError);
});

Deno.test("parseGgufHeader() keeps no long text and no text beyond 1 MiB passes", async () => {
  const template = "t".repeat(GGUF_LIMITS.keptTemplateBytes);
  const pairs: [string, Value][] = [["general.license", { text: LONG }], ["tokenizer.chat_template", {
    text: template,
  }]];
  const header = await parse(ggufBytes({ pairs, tensors: [] }));
  assert.deepEqual([...header.metadata], [["tokenizer.chat_template", template]]);
  const longer = ggufBytes({ pairs: [["tokenizer.chat_template", { text: template + "t" }]], tensors: [] });
  assert.equal((await parse(longer)).metadata.size, 0);
  const long = ggufBytes({ pairs: [["a", { raw: bytesOf(8, 0, 0, 0, 1, 0, 16, 0, 0, 0, 0, 0) }]], tensors: [] });
  await assert.rejects(parse(long), /1048577 bytes in a text/);
});

Deno.test("parseGgufHeader() reads no more than 64 MiB, whatever the file states", async () => {
  // 62 MiB of texts without a letter, then zeros without an end.
  const head = ggufBytes({
    pairCount: 100_000n,
    pairs: [["a", { raw: bytesOf(9, 0, 0, 0, 8, 0, 0, 0, 0, 0, 124, 0, 0, 0, 0, 0) }]],
    tensors: [],
  });
  let given = 0;
  const source = {
    read(buffer: Uint8Array) {
      buffer.fill(0);
      if (given === 0) buffer.set(head.subarray(0, 49));
      given += buffer.length;
      return Promise.resolve(buffer.length);
    },
  };
  await assert.rejects(parseGgufHeader(source, 2 ** 40), SyntaxError);
  assert.ok(given <= (64 << 20) + (1 << 20), `${given} bytes were read`);
});

Deno.test("parseGgufHeader() survives changed headers and accepts no tensor beyond the file", async () => {
  const real = await Deno.readFile(FIXTURE);
  const { dataOffset } = await readGgufHeader(FIXTURE);
  const bases = [
    { bytes: ggufBytes(), size: ggufBytes().length },
    { bytes: real.subarray(0, dataOffset), size: real.length },
  ];
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(0, 1),
      fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255))), { maxLength: 6 }),
      fc.option(fc.nat(1_000_000)),
      async (base, changes, cut) => {
        const { bytes, size } = bases[base] ?? assert.fail();
        const changed = bytes.slice();
        // Half of the changes fall where the structure is: the counts at the start, or the tensors at the end.
        for (const [at, value] of changes) changed[place(at, changed.length)] = value;
        const stated = cut === null ? size : size - cut % size;
        let reads = 0;
        try {
          const header = await parse(changed.subarray(0, stated), { size: stated, onRead: () => reads++ });
          accepted++;
          assert.ok(farthest(changed, header) <= BigInt(stated), "a tensor lies beyond the end");
        } catch (error) {
          assert.ok(error instanceof SyntaxError, String(error));
        }
        assert.ok(reads <= 8, `${reads} reads`);
      },
    ),
    { numRuns: 4_000 },
  );
  assert.ok(accepted > 100, `only ${accepted} were accepted: the property says little`);
});

function place(at: number, length: number): number {
  if (at % 4 === 0) return (at >> 2) % 64;
  return at % 4 === 1 ? length - 1 - (at >> 2) % Math.min(length, 5_000) : (at >> 2) % length;
}

/** Where the tensors end by a second, plain reading of the same bytes. */
function farthest(bytes: Uint8Array, { dataOffset }: GgufHeader): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 8;
  const u32 = () => view.getUint32((at += 4) - 4, LITTLE_ENDIAN);
  const u64 = () => view.getBigUint64((at += 8) - 8, LITTLE_ENDIAN);
  const skipText = () => {
    const length = Number(u64());
    at += length;
  };
  const skip = (kind: number) => {
    if (kind === 8) return skipText();
    if (kind !== 9) return void (at += [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8][kind] ?? 0);
    const inner = u32();
    for (let count = u64(); count > 0n; count--) skip(inner);
  };
  const tensors = u64();
  for (let pairs = u64(); pairs > 0n; pairs--) skipText(), skip(u32());
  let end = 0n;
  for (let i = 0n; i < tensors; i++) {
    skipText();
    let elements = 1n;
    for (let dimensions = u32(); dimensions > 0; dimensions--) elements *= u64();
    const type = tensorType(u32());
    assert.ok(type);
    const past = u64() + elements / BigInt(type.blockSize) * BigInt(type.blockBytes);
    if (past > end) end = past;
  }
  return tensors === 0n ? 0n : BigInt(dataOffset) + end;
}

function tensor(parts: Partial<{ name: string; dimensions: number[]; type: number; offset: number | bigint }>) {
  return { name: "t", dimensions: [32, 2], type: 0, offset: 0, ...parts };
}

function bytesOf(...bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

function parse(
  bytes: Uint8Array,
  { size = bytes.length, step = Infinity, onRead = () => {} }: { size?: number; step?: number; onRead?: () => void } =
    {},
): Promise<GgufHeader> {
  let at = 0;
  const source = {
    read(buffer: Uint8Array) {
      onRead();
      const part = bytes.subarray(at, at + Math.min(step, buffer.length));
      buffer.set(part);
      at += part.length;
      return Promise.resolve(part.length === 0 ? null : part.length);
    },
  };
  return parseGgufHeader(source, size);
}
