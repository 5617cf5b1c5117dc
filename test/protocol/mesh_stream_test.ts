import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ALIVE_FRAME,
  ArkError,
  decodeFrame,
  decodePeerError,
  encodeErrorFrame,
  encodeEventFrame,
  encodeReceiptFrame,
  ERROR_CODES,
  FrameSplitter,
  type InferenceEvent,
  LIMITS,
  type SignedReceipt,
} from "@ark/node/protocol";
import { almost, anyJson } from "./json_values.ts";

const SIGNED: SignedReceipt = {
  receipt: {
    request: "11".repeat(32),
    stream: "22".repeat(32),
    model: "arkling:9m",
    digest: null,
    prompt_tokens: 1,
    completion_tokens: 2,
    finish_reason: "stop",
  },
  signature: new Uint8Array(64).fill(7).toBase64(),
};
const TEXT: InferenceEvent = { type: "text", text: 'a\n\nb\r"é🛶', tokens: 1 };

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Cuts bytes at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end));
}

Deno.test("encode…Frame() and decodeFrame() are each other's inverse, and a frame has no blank line inside", () => {
  const error = new ArkError("busy", "Try again\n\nlater");
  for (const frame of [encodeEventFrame(TEXT), encodeErrorFrame(error), encodeReceiptFrame(SIGNED), ALIVE_FRAME]) {
    assert.deepEqual(new FrameSplitter().push(frame), [frame]);
  }
  assert.deepEqual(decodeFrame(encodeEventFrame(TEXT)), { type: "event", event: TEXT });
  assert.deepEqual(decodeFrame(encodeReceiptFrame(SIGNED)), { type: "receipt", signed: SIGNED });
  assert.deepEqual(decodeFrame(ALIVE_FRAME), { type: "alive" });
  const decoded = decodeFrame(encodeErrorFrame(error));
  assert.ok(decoded.type === "error");
  assert.deepEqual([decoded.error.code, decoded.error.message], ["busy", "Try again  later"]);
});

Deno.test("encode…Frame() writes these very bytes", () => {
  assert.deepEqual(
    encodeEventFrame({ type: "text", text: "a\nb", tokens: 1 }),
    bytesOf('data: {"type":"text","text":"a\\nb","tokens":1}\n\n'),
  );
  assert.deepEqual(
    encodeErrorFrame(new ArkError("busy", "Later")),
    bytesOf('event: ark-error\ndata: {"error":{"code":"ark_busy","message":"Later"}}\n\n'),
  );
  assert.ok(new TextDecoder().decode(encodeReceiptFrame(SIGNED)).startsWith("event: ark-receipt\ndata: {"));
  assert.deepEqual(ALIVE_FRAME, bytesOf(": alive\n\n"));
});

Deno.test("FrameSplitter.push() gives the same frames however the bytes are cut", () => {
  const line = fc.string({ unit: "binary" }).map((text) => text.replaceAll("\n", ""));
  const frame = fc.array(line.filter((text) => text !== ""), { minLength: 1, maxLength: 3 })
    .map((lines) => bytesOf(lines.join("\n") + "\n\n"));
  fc.assert(
    fc.property(fc.array(frame), line, fc.array(fc.nat(500)), (frames, rest, places) => {
      const splitter = new FrameSplitter();
      const stream = joined([...frames, bytesOf(rest)]);
      const got = cut(stream, places).flatMap((chunk) => splitter.push(chunk));
      assert.deepEqual(got.map((each) => [...each]), frames.map((each) => [...each]));
      assert.equal(splitter.unfinished, bytesOf(rest).length > 0);
    }),
    { numRuns: 500 },
  );
});

Deno.test("FrameSplitter.push() gives the same for any bytes, cut or whole, and loses none", () => {
  const soup = fc.array(fc.constantFrom(10, 10, 97, 58), { maxLength: 60 }).map((each) => Uint8Array.from(each));
  fc.assert(fc.property(soup, fc.array(fc.nat(60)), (bytes, places) => {
    const whole = new FrameSplitter().push(bytes).map((frame) => [...frame]);
    const splitter = new FrameSplitter();
    const parts = cut(bytes, places).flatMap((chunk) => splitter.push(chunk)).map((frame) => [...frame]);
    assert.deepEqual(parts, whole);
    assert.deepEqual(parts.flat(), [...bytes.slice(0, parts.flat().length)]);
  }));
});

Deno.test("FrameSplitter.push() keeps what it gave when a later chunk or the caller's buffer changes", () => {
  const splitter = new FrameSplitter();
  const buffer = bytesOf(": a\n\n: b");
  const [first] = splitter.push(buffer);
  const kept = [...first ?? []];
  assert.deepEqual(splitter.push(bytesOf("\n")), []);
  buffer.fill(0, 5);
  const [second] = splitter.push(bytesOf("\n: cc"));
  assert.deepEqual([...second ?? []], [...bytesOf(": b\n\n")]);
  splitter.push(bytesOf("c\n\n"));
  assert.deepEqual([...first ?? []], kept);
  assert.deepEqual([...second ?? []], [...bytesOf(": b\n\n")]);
});

Deno.test("FrameSplitter.push() takes a frame of 256 KiB and refuses a longer one, cut or whole", () => {
  const frame = (length: number) => bytesOf(":" + "x".repeat(length - 3) + "\n\n");
  for (const size of [1 << 16, 1 << 20]) {
    const feed = (bytes: Uint8Array) => {
      const splitter = new FrameSplitter();
      const places = Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => (index + 1) * size);
      return cut(bytes, places).flatMap((chunk) => splitter.push(chunk));
    };
    assert.equal(feed(frame(LIMITS.eventBytes)).length, 1);
    assert.throws(() => feed(frame(LIMITS.eventBytes + 1)), { code: "unavailable", message: /too long/ });
    assert.throws(() => feed(bytesOf("x".repeat(LIMITS.eventBytes + 1))), { code: "unavailable" });
  }
  assert.throws(() => decodeFrame(frame(LIMITS.eventBytes + 1)), { code: "unavailable", message: /too long/ });
});

Deno.test("FrameSplitter.push() is not made slow by a long frame in single bytes", () => {
  const splitter = new FrameSplitter();
  const began = performance.now();
  const byte = bytesOf("x");
  for (let index = 0; index < LIMITS.eventBytes; index++) splitter.push(byte);
  const took = performance.now() - began;
  // Copying what is held for every byte is 34 GB: some seconds on any machine, against some ten milliseconds.
  assert.ok(took < 2_000, `${took} ms`);
});

Deno.test("decodeFrame() is total: any bytes are a frame or an ArkError", () => {
  const written = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string().map(bytesOf),
    fc.tuple(fc.constantFrom("data: ", "event: ark-error\ndata: ", "event: ark-receipt\ndata: "), fc.string())
      .map(([head, text]) => bytesOf(`${head}${text}\n\n`)),
    fc.oneof(anyJson(), almost(TEXT)).map((json) => bytesOf(`data: ${JSON.stringify(json)}\n\n`)),
    fc.oneof(anyJson(), almost(SIGNED)).map((json) => bytesOf(`event: ark-receipt\ndata: ${JSON.stringify(json)}\n\n`)),
    anyJson().map((json) => bytesOf(`event: ark-error\ndata: ${JSON.stringify(json)}\n\n`)),
  );
  fc.assert(
    fc.property(written, (bytes) => {
      try {
        const frame = decodeFrame(bytes);
        if (frame.type === "receipt") Uint8Array.fromBase64(frame.signed.signature);
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "unavailable", String(error));
      }
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("decodeFrame() refuses a receipt whose signature is not 64 bytes in base64", () => {
  for (const signature of ["", "!", SIGNED.signature.slice(0, -1), `${SIGNED.signature}=`, ` ${SIGNED.signature}`, 7]) {
    const frame = encodeReceiptFrame({ ...SIGNED, signature: signature as string });
    assert.throws(() => decodeFrame(frame), { code: "unavailable", message: /receipt/ });
  }
});

Deno.test("decodeFrame() refuses text that is not UTF-8, other events and more lines", () => {
  const bad = [
    "event: message\ndata: {}\n\n",
    "id: 1\n\n",
    'data: {"type":"text","text":"","tokens":0}\ndata: {}\n\n',
    "\n\n",
  ];
  for (const text of bad) assert.throws(() => decodeFrame(bytesOf(text)), { code: "unavailable" });
  assert.throws(() => decodeFrame(Uint8Array.from([...bytesOf("data: "), 0xff, 10, 10])), { code: "unavailable" });
});

Deno.test("decodePeerError() knows every code as it is written on the wire", () => {
  for (const code of ERROR_CODES) {
    assert.equal(decodePeerError({ error: { code: `ark_${code}`, message: "Why" } }).code, code);
  }
  assert.equal(decodePeerError({ error: { code: "ark_unauthorized", message: "Why" } }).code, "unauthenticated");
});

Deno.test("decodePeerError() makes a printable, short line of anything that a peer says", () => {
  const error = decodePeerError({
    error: { code: "ark_busy", message: `a\u001b[31m\r\nb\u202e\u2028${"x".repeat(900)}` },
  });
  assert.equal(error.message, `a [31m  b  ${"x".repeat(300 - 11)}`);
  fc.assert(
    fc.property(fc.oneof(anyJson(), almost({ error: { code: "ark_busy", message: "Why" } })), (value) => {
      const { code, message } = decodePeerError(value);
      assert.ok((ERROR_CODES as readonly string[]).includes(code));
      assert.doesNotMatch(message, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      assert.ok(message.length > 0 && [...message].length <= 300);
    }),
    { numRuns: 1_000 },
  );
  for (const nothing of [null, {}, { error: null }, { error: { message: "\u0000" } }, "x", 1, []]) {
    assert.deepEqual(
      [decodePeerError(nothing).code, decodePeerError(nothing).message],
      ["unavailable", "The peer gave no reason"],
    );
  }
  assert.equal(decodePeerError({ error: { code: "ark_toString" } }).code, "unavailable");
});
