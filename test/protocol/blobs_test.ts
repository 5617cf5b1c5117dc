import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  ArkError,
  Bitfield,
  CHUNK_BYTES,
  chunkCount,
  chunkHash,
  chunkLength,
  chunkListBytes,
  chunkRoot,
  decodeChunkList,
  decodeHave,
  encodeChunkList,
  encodeHave,
  isBlobId,
  MOST_BLOB_BYTES,
} from "@ark/node/protocol";
import { leafHash, rootAt } from "../../src/audit/merkle_tree.ts";

function hashesOf(count: number): Uint8Array<ArrayBuffer> {
  const hashes = new Uint8Array(32 * count);
  for (let index = 0; index < count; index++) {
    hashes.set(createHash("sha256").update(`chunk ${index}`).digest(), 32 * index);
  }
  return hashes;
}

function badRequest(work: () => unknown, sentence: RegExp): void {
  assert.throws(
    work,
    (error) => error instanceof ArkError && error.code === "bad_request" && sentence.test(error.message),
  );
}

Deno.test("encodeChunkList() is these bytes: nodes of other versions depend on it", () => {
  const list = { size: CHUNK_BYTES + 1, hashes: hashesOf(2) };
  assert.equal(
    encodeChunkList(list).toHex(),
    "0000000000400001" + "00400000" + hashesOf(2).toHex(),
  );
  assert.equal(chunkRoot(list), "9d7c13656b747dcb0a00fe91f914e8ccebd46f593030eb3e167736081d3ad880");
});

Deno.test("chunkRoot() is the root of the RFC 6962 tree that the audit log has, of any number of chunks", async () => {
  for (const count of [1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 100]) {
    const hashes = hashesOf(count);
    const leaves = Array.from({ length: count }, (_, index) => leafHash(hashes.slice(32 * index, 32 * index + 32)));
    const root = await rootAt(count, async function read(level, index): Promise<Uint8Array> {
      if (level === 0) return leaves[index] ?? new Uint8Array();
      const pair = [await read(level - 1, 2 * index), await read(level - 1, 2 * index + 1)];
      return new Uint8Array(createHash("sha256").update(Uint8Array.of(1)).update(Buffer.concat(pair)).digest());
    });
    assert.equal(chunkRoot({ hashes }), root.toHex(), `${count} chunks`);
  }
});

Deno.test("decodeChunkList() gives back what was encoded, and refuses any other length, size and chunk size", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 40 * CHUNK_BYTES }), (size) => {
    const list = { size, hashes: hashesOf(chunkCount(size)) };
    const bytes = encodeChunkList(list);
    assert.equal(bytes.length, chunkListBytes(size));
    assert.deepEqual(decodeChunkList(bytes), list);
    badRequest(() => decodeChunkList(bytes.subarray(1)), /chunks/);
    badRequest(() => decodeChunkList(bytes.subarray(0, -1)), /too many or too few/);
    badRequest(() => decodeChunkList(Uint8Array.of(...bytes, 0)), /too many or too few/);
    badRequest(() => decodeChunkList(bytes.with(11, 1)), /another size/);
  }));
  badRequest(() => decodeChunkList(new Uint8Array(11)), /not whole/);
  badRequest(() => decodeChunkList(encodeChunkList({ size: 0, hashes: new Uint8Array() })), /empty or too large/);
  badRequest(
    () => decodeChunkList(encodeChunkList({ size: MOST_BLOB_BYTES + 1, hashes: new Uint8Array() })),
    /empty or too large/,
  );
});

Deno.test("chunkLength() and chunkHash() know the last chunk, and no other beside those that there are", () => {
  const list = { size: 2 * CHUNK_BYTES + 5, hashes: hashesOf(3) };
  assert.deepEqual([0, 1, 2].map((index) => chunkLength(list.size, index)), [CHUNK_BYTES, CHUNK_BYTES, 5]);
  assert.equal(chunkHash(list, 2).toHex(), hashesOf(3).subarray(64).toHex());
  for (const index of [-1, 3, 0.5, NaN, Infinity]) {
    assert.throws(() => chunkLength(list.size, index), RangeError);
    assert.throws(() => chunkHash(list, index), RangeError);
  }
});

Deno.test("A Bitfield keeps bit i as bit 7 - (i mod 8) of byte i / 8, and counts", () => {
  const field = new Bitfield(11);
  for (const index of [0, 3, 8, 10, 3]) field.set(index);
  assert.equal(field.bytes().toHex(), "90a0");
  assert.equal(field.count, 4);
  assert.deepEqual([0, 1, 10, 11, -1, 0.5].map((index) => field.get(index)), [true, false, true, false, false, false]);
  field.clear(3);
  assert.equal(field.count, 3);
  assert.throws(() => field.set(11), RangeError);
  assert.equal(Bitfield.full(11).bytes().toHex(), "ffe0");
  assert.ok(Bitfield.full(11).full && !field.full);
  badRequest(() => Bitfield.of(Uint8Array.of(0x90, 0xb0), 11), /behind its last/);
  badRequest(() => Bitfield.of(Uint8Array.of(0x90), 11), /has 2 bytes/);
});

Deno.test("A Bitfield is what was set, whatever the order; decodeHave() gives back what encodeHave() made", () => {
  const numbers = fc.integer({ min: 1, max: 300 }).chain((length) =>
    fc.record({ length: fc.constant(length), set: fc.array(fc.nat({ max: length - 1 })), version: fc.nat() })
  );
  fc.assert(fc.property(numbers, ({ length, set, version }) => {
    const field = new Bitfield(length);
    for (const index of set) field.set(index);
    assert.equal(field.count, new Set(set).size);
    const bytes = encodeHave({ version, have: field });
    const again = decodeHave(bytes, length * CHUNK_BYTES);
    assert.equal(again.version, version);
    assert.deepEqual(again.have.bytes(), field.bytes());
    assert.equal(again.have.count, field.count);
    for (let index = 0; index < length; index++) assert.equal(again.have.get(index), set.includes(index));
  }));
  badRequest(() => decodeHave(new Uint8Array(3), 1), /not whole/);
  badRequest(() => decodeHave(new Uint8Array(6), CHUNK_BYTES), /has 1 bytes/);
});

Deno.test("isBlobId() knows 64 hexadecimal digits in lower case, and nothing that could lead elsewhere", () => {
  assert.ok(isBlobId("0a".repeat(32)));
  for (const text of ["0A".repeat(32), "0a".repeat(31), `${"0a".repeat(32)}\n`, `../${"a".repeat(61)}`, 7, null]) {
    assert.ok(!isBlobId(text), String(text));
  }
});
