import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type AnswerPart,
  decodeFrame,
  decodeInferenceEvent,
  encodeEventFrame,
  encodeEventFrames,
} from "@ark/node/protocol";
import { decodeTextFrame } from "../../src/protocol/text_frame.ts";

const ENCODER = new TextEncoder();
const TEXT = fc.oneof(
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.constantFrom("", " the", '"', "\\", "\n", "\u2028", "ü", "😀", "\ud800", "\u0000", "a".repeat(65)),
);
const IDS = fc.array(fc.nat(2 ** 31 - 1), { maxLength: 6 });
const PART: fc.Arbitrary<AnswerPart> = fc.record(
  { type: fc.constant("text" as const), text: TEXT, tokens: fc.nat(), ids: IDS },
  { requiredKeys: ["type", "text", "tokens"] },
);

/** What the strict decoder says of a frame, without the short way. */
function strictly(frame: Uint8Array): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(frame).trimEnd();
    return decodeInferenceEvent(JSON.parse(text.slice("data: ".length)));
  } catch {
    return null;
  }
}

Deno.test("decodeTextFrame() reads what nodes write, ids too, as the strict decoder does", () => {
  fc.assert(
    fc.property(PART, (part) => {
      const frame = encodeEventFrame(part);
      const read = decodeTextFrame(frame);
      assert.deepEqual(read, strictly(frame));
      assert.deepEqual(decodeFrame(frame), { type: "event", event: read });
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("encodeEventFrames() writes the very bytes that encodeEventFrame() writes, one behind the other", () => {
  fc.assert(
    fc.property(fc.array(PART, { maxLength: 4 }), (parts) => {
      const single = parts.flatMap((part) => [...encodeEventFrame(part)]);
      assert.deepEqual([...encodeEventFrames(parts)], single);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("decodeTextFrame() says of spoilt frames what the strict decoder says, or leaves them to it", () => {
  let read = 0;
  const change = fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(...ENCODER.encode(`"\\{}[],:0-+.eE \n`))));
  fc.assert(
    fc.property(PART, fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(2), (part, changes, how) => {
      let bytes = [...encodeEventFrame(part)];
      for (const [at, byte] of changes) {
        const place = at % bytes.length;
        if (how === 0) bytes[place] = byte;
        else if (how === 1) bytes.splice(place, 1);
        else bytes = [...bytes.slice(0, place), byte, ...bytes.slice(place)];
      }
      const frame = Uint8Array.from(bytes);
      const short = decodeTextFrame(frame);
      if (short === null) return;
      read++;
      assert.deepEqual(short, strictly(frame));
    }),
    { numRuns: 20_000 },
  );
  assert.ok(read > 1_000);
});

for (
  const [what, tail] of [
    ["a leading zero", `","tokens":01}`],
    ["a sign", `","tokens":-1}`],
    ["a fraction", `","tokens":1.5}`],
    ["an exponent", `","tokens":1e3}`],
    ["a count beyond safe integers", `","tokens":9007199254740993}`],
    ["an id of 2^31", `","tokens":1,"ids":[2147483648]}`],
    ["a comma too many", `","tokens":1,"ids":[1,]}`],
    ["a field that is not known", `","tokens":1,"x":1}`],
    ["chances", `","tokens":1,"logprobs":[]}`],
    ["two ids", `","tokens":1,"ids":[1],"ids":[2]}`],
  ] as const
) {
  Deno.test(`decodeTextFrame() leaves ${what} to the strict decoder`, () => {
    assert.equal(decodeTextFrame(ENCODER.encode(`data: {"type":"text","text":"a${tail}\n\n`)), null);
  });
}
