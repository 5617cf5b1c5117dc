import assert from "node:assert/strict";
import fc from "fast-check";
import { boundedBytes, boundedText } from "@ark/node/transport";

/** A body of these pieces that says whether it was let go before its end. */
function bodyOf(pieces: readonly Uint8Array[]): { body: ReadableStream<Uint8Array>; gone: () => boolean } {
  let gone = false;
  const left = [...pieces];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = left.shift();
      if (next === undefined) controller.close();
      else controller.enqueue(next);
    },
    cancel: () => void (gone = true),
  }, { highWaterMark: 0 });
  return { body, gone: () => gone };
}

const tooLong = () => new RangeError("Too long");

Deno.test("boundedBytes() gives what came, in its order, or the error where more came than may", async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 9 })), fc.nat(60), async (pieces, most) => {
    const whole = pieces.flatMap((piece) => [...piece]);
    const { body, gone } = bodyOf(pieces);
    if (whole.length <= most) assert.deepEqual([...await boundedBytes(body, { most, tooLong })], whole);
    else {
      await assert.rejects(boundedBytes(body, { most, tooLong }), RangeError);
      assert.ok(gone(), "What is too long is not read on");
    }
  }));
});

Deno.test("boundedBytes() reads no body as an empty one", async () => {
  assert.equal((await boundedBytes(null, { most: 0, tooLong })).length, 0);
});

Deno.test("boundedText() reads characters that are split between pieces", async () => {
  const bytes = new TextEncoder().encode("Grüße");
  const { body } = bodyOf(Array.from(bytes, (byte) => Uint8Array.of(byte)));
  assert.equal(await boundedText(body, { most: bytes.length, tooLong }), "Grüße");
});
