import assert from "node:assert/strict";
import fc from "fast-check";
import { SocketWriter } from "../../src/transport/socket_writer.ts";

Deno.test("SocketWriter writes every byte once and in its order, however little is taken at a time", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 40_000 }), { maxLength: 20 });
  await fc.assert(fc.asyncProperty(pieces, fc.integer({ min: 1, max: 30_000 }), async (pieces, most) => {
    const taken: number[] = [];
    const writer = new SocketWriter({
      write: async (bytes) => {
        await Promise.resolve();
        const count = Math.min(most, bytes.length);
        for (const byte of bytes.subarray(0, count)) taken.push(byte);
        return count;
      },
    }, () => assert.fail());
    for (const piece of pieces) {
      const full = writer.write(piece);
      if (full !== null) await full;
    }
    await writer.flushed();
    assert.ok(writer.idle);
    assert.deepEqual(taken, pieces.flatMap((piece) => [...piece]));
  }));
});

Deno.test("SocketWriter makes who writes wait for a connection that takes nothing, and lets go when it breaks", async () => {
  const broken = Promise.withResolvers<number>();
  let told = 0;
  const writer = new SocketWriter({ write: () => broken.promise }, () => told++);
  assert.equal(writer.write(new Uint8Array(1_000)), null);
  let held = 0;
  let full: Promise<void> | null = null;
  while (full === null) {
    full = writer.write(new Uint8Array(1_000));
    held += 1_000;
  }
  assert.ok(held > 60_000 && held < 70_000);
  broken.reject(new Error("reset"));
  await full;
  await writer.flushed();
  assert.deepEqual([told, writer.broken, writer.write(new Uint8Array(1))], [1, true, null]);
});
