import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameWriter } from "../../src/inference/worker/frame_writer.ts";
import { FrameReader } from "../../src/inference/worker/frames.ts";

Deno.test("FrameWriter writes what comes in one moment at once, before anything else is begun", async () => {
  const writes: unknown[][] = [];
  const writer = new FrameWriter((bytes) => writes.push(new FrameReader().push(bytes)));
  const later = Promise.resolve().then(() => assert.equal(writes.length, 0, "It is this moment still"));
  for (const id of [1, 2, 3]) writer.push({ id });
  assert.deepEqual(writes, []);
  await later;
  await Promise.resolve();
  assert.deepEqual(writes, [[{ id: 1 }, { id: 2 }, { id: 3 }]]);
  writer.push({ id: 4 });
  await Promise.resolve();
  assert.deepEqual(writes.slice(1), [[{ id: 4 }]]);
});

Deno.test("FrameWriter.flush() writes what waits, once", async () => {
  const writes: unknown[][] = [];
  const writer = new FrameWriter((bytes) => writes.push(new FrameReader().push(bytes)));
  writer.push("a");
  writer.flush();
  writer.flush();
  assert.deepEqual(writes, [["a"]]);
  await Promise.resolve();
  assert.deepEqual(writes, [["a"]]);
});

Deno.test("FrameWriter loses and doubles nothing, keeps the order, and lets no more than a pipe holds wait", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 8 }), { maxLength: 8 }),
    async (moments) => {
      const reader = new FrameReader();
      const [seen, sent]: [unknown[], string[]] = [[], []];
      const writer = new FrameWriter((bytes) => {
        assert.ok(bytes.length > 0 && bytes.length < 64 << 10);
        seen.push(...reader.push(bytes));
      });
      for (const lengths of moments) {
        for (const length of lengths) {
          const message = `${sent.length}`.padEnd(length, ".");
          sent.push(message);
          writer.push(message);
        }
        await Promise.resolve();
        assert.deepEqual(seen, sent);
      }
    },
  ));
});
