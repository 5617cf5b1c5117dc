import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeFrame, FRAME_BYTES, FrameReader } from "../../src/inference/worker/frames.ts";

Deno.test("FrameReader puts any messages together from any chunks", () => {
  fc.assert(fc.property(
    fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 12 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
    (messages, steps) => {
      const bytes = joined(messages.map(encodeFrame));
      const reader = new FrameReader();
      const read: unknown[] = [];
      let at = 0;
      for (let i = 0; at < bytes.length; i++) {
        const step = steps[i % steps.length] ?? 1;
        read.push(...reader.push(bytes.subarray(at, at + step)));
        at += step;
      }
      assert.deepEqual(read, JSON.parse(JSON.stringify(messages)));
      assert.ok(!reader.partial);
    },
  ));
});

Deno.test("FrameReader never does anything but read or throw a SyntaxError", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 5 }), (chunks) => {
    const reader = new FrameReader();
    try {
      for (const chunk of chunks) reader.push(chunk);
    } catch (error) {
      assert.ok(error instanceof SyntaxError);
    }
  }));
});

Deno.test("FrameReader refuses a length above the limit before it takes memory", () => {
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, FRAME_BYTES + 1);
  assert.throws(() => new FrameReader().push(header), /larger than it may be/);
});

Deno.test("FrameReader quotes nothing of a frame that it cannot read", () => {
  const frame = joined([Uint8Array.from([0, 0, 0, 8]), new TextEncoder().encode("{secret}")]);
  assert.throws(() => new FrameReader().push(frame), (error) => {
    assert.ok(error instanceof SyntaxError && error.cause === undefined && !error.message.includes("secret"));
    return true;
  });
});

Deno.test("encodeFrame() takes a large message, and none beyond the limit", () => {
  const text = "x".repeat(3 << 20);
  const reader = new FrameReader();
  assert.deepEqual(reader.push(encodeFrame({ text })), [{ text }]);
  assert.deepEqual(reader.push(encodeFrame({ small: true })), [{ small: true }]);
  assert.throws(() => encodeFrame("x".repeat(FRAME_BYTES)), RangeError);
});

function joined(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}
