import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CHUNK_BYTES } from "@ark/node/protocol";
import { ChunkThreads, ThreadsEnded } from "../../../src/models/blobs/chunk_threads.ts";
import { randomBlob } from "./random_blob.ts";

Deno.test("ChunkThreads.put() writes those that are right of many that come at once, each to its place", async () => {
  const path = await Deno.makeTempFile();
  const blob = randomBlob(6 * CHUNK_BYTES + 1_000);
  const all = Array.from({ length: 7 }, (_, index) => blob.chunk(index));
  try {
    using threads = new ChunkThreads(path);
    for (let round = 0; round < 3; round++) {
      const right = await Promise.all(all.map((bytes, index) => {
        const hash = createHash("sha256").update(bytes).digest();
        // The third is wrong in its last bit, in the midst of those that are hashed with it.
        const wrong = bytes.slice();
        wrong[wrong.length - 1] = (wrong.at(-1) ?? 0) ^ 1;
        return threads.put(index === 2 ? wrong : bytes, { hash, at: index === 4 ? null : index * CHUNK_BYTES });
      }));
      assert.deepEqual(right, [true, true, false, true, true, true, true]);
    }
    const written = await Deno.readFile(path);
    for (const [index, bytes] of all.entries()) {
      const there = written.subarray(index * CHUNK_BYTES, index * CHUNK_BYTES + bytes.length);
      const expected = index === 2 || index === 4 ? new Uint8Array(bytes.length) : bytes;
      assert.ok(there.every((byte, at) => byte === expected[at]), `Chunk ${index}`);
    }
    const late = all.map((bytes) => threads.put(bytes, { hash: new Uint8Array(32), at: null }));
    threads[Symbol.dispose]();
    for (const outcome of await Promise.allSettled(late)) {
      assert.ok(outcome.status === "rejected" && outcome.reason instanceof ThreadsEnded);
    }
  } finally {
    await Deno.remove(path);
  }
});
