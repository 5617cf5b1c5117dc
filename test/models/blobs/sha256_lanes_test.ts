import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { ChunkHasher } from "../../../src/models/blobs/chunk_hasher.ts";
import { Sha256Lanes } from "../../../src/models/blobs/sha256_lanes.ts";
import { Random } from "../../fuzz/random.ts";

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function bytesOf(random: Random, length: number): Uint8Array<ArrayBuffer> {
  const words = Uint32Array.from({ length: Math.ceil(length / 4) }, () => random.next());
  return new Uint8Array(words.buffer, 0, length);
}

Deno.test("Sha256Lanes.digests() gives what OpenSSL gives, for every length about the edges of blocks and pieces", () => {
  const lanes = new Sha256Lanes();
  const random = new Random(1);
  const lengths = [
    ...Array.from({ length: 200 }, (_, length) => length),
    16_383,
    16_384,
    16_385,
    16_440,
    16_448,
    65_537,
  ];
  for (const length of lengths) {
    for (const count of [1, 2, 3, 4]) {
      const messages = Array.from({ length: count }, () => bytesOf(random, length));
      assert.deepEqual(lanes.digests(messages).map((digest) => digest.toHex()), messages.map(sha256), `${length}`);
    }
  }
});

Deno.test("Sha256Lanes.digests() has no memory of what it hashed before, and takes shared memory", () => {
  const lanes = new Sha256Lanes();
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 300, maxLength: 300 }), { minLength: 1, maxLength: 4 }),
      (messages) => {
        const shared = messages.map((message) => {
          const bytes = new Uint8Array(new SharedArrayBuffer(message.length));
          bytes.set(message);
          return bytes;
        });
        assert.deepEqual(lanes.digests(shared).map((digest) => digest.toHex()), messages.map(sha256));
      },
    ),
  );
  assert.deepEqual(lanes.digests([]), []);
  assert.throws(() => lanes.digests(Array.from({ length: 5 }, () => new Uint8Array(1))), RangeError);
  assert.throws(() => lanes.digests([new Uint8Array(1), new Uint8Array(2)]), RangeError);
});

for (const [what, ms] of [["without instructions for SHA-256", 10], ["with them", 0.5]] as const) {
  Deno.test(`ChunkHasher.digests() is right on a processor ${what}, however many chunks there are`, () => {
    let now = 0;
    const hasher = new ChunkHasher({ now: () => now += ms });
    const random = new Random(2);
    const chunks = Array.from({ length: 4 }, () => bytesOf(random, 1 << 20));
    chunks.push(bytesOf(random, 1_000), bytesOf(random, 0));
    for (const some of [[0], [0, 1, 2, 3], [1, 2], [0, 4], [4, 5, 5], [0, 1, 2, 3, 4, 5], []]) {
      const messages = some.map((at) => chunks[at] ?? new Uint8Array());
      const digests = hasher.digests(messages).map((digest) => new Uint8Array(digest).toHex());
      assert.deepEqual(digests, messages.map(sha256), `${some}`);
    }
  });
}
