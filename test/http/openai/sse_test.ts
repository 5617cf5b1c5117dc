import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError } from "@ark/node/protocol";
import { chatShape } from "../../../src/http/openai/chat_shape.ts";
import { completionShape } from "../../../src/http/openai/completion_shape.ts";
import { ChunkEncoder, DONE, errorEvent, KEEP_ALIVE, usageChunk } from "../../../src/http/openai/sse.ts";

const DECODER = new TextDecoder("utf-8", { fatal: true });
const ANY_TEXT = fc.oneof(
  fc.string({ unit: "binary" }),
  // UTF-16 units of any kind, so lone surrogates too.
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.constantFrom(
    "\u2028",
    "\u2029",
    "\u0085",
    "\ud800",
    "\udc00",
    '"\\u0000"',
    "\0",
    "\r\n\r\n",
    "data: [DONE]\n\n",
    "$&",
  ),
);

function jsonOf(event: Uint8Array | string | null) {
  const text = typeof event === "string" ? event : DECODER.decode(event ?? assert.fail("There is no event"));
  // One event in one line, whatever the client takes for a line.
  // deno-lint-ignore no-control-regex
  const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\u0085\u2028\u2029]/);
  assert.deepEqual(lines.slice(1), ["", ""]);
  assert.ok(text.startsWith("data: "));
  return JSON.parse(text.slice(6));
}

for (const shape of [chatShape(), completionShape()]) {
  Deno.test(`ChunkEncoder.part() writes one line of valid JSON for any text: ${shape.chunkObject}`, () => {
    fc.assert(
      fc.property(ANY_TEXT, ANY_TEXT, (text, model) => {
        const encoder = new ChunkEncoder(shape, { head: { id: "id-1", created: 5, model }, index: 2 });
        const part = { type: "text", text, tokens: 1 } as const;
        if (text === "") return assert.equal(encoder.part(part), null);
        const head = { id: "id-1", object: shape.chunkObject, created: 5, model };
        // What is made once and what is made for each part are the same.
        assert.deepEqual(jsonOf(encoder.part(part)), { ...head, choices: [shape.writer(2).part(part)] });
      }),
      { numRuns: 500 },
    );
  });
}

Deno.test("ChunkEncoder writes opening and finish as chunks of their own", () => {
  const head = { id: "id-1", created: 5, model: "m" };
  const encoder = new ChunkEncoder(chatShape(), { head, index: 1 });
  const chunk = { id: "id-1", object: "chat.completion.chunk", created: 5, model: "m" };
  const choice = { index: 1, logprobs: null };
  assert.deepEqual(jsonOf(encoder.opening()), {
    ...chunk,
    choices: [{ ...choice, delta: { role: "assistant", content: "" }, finish_reason: null }],
  });
  assert.deepEqual(jsonOf(encoder.finish("length")), {
    ...chunk,
    choices: [{ ...choice, delta: {}, finish_reason: "length" }],
  });
  const usage = { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 };
  assert.deepEqual(jsonOf(usageChunk(chatShape(), head, usage)), { ...chunk, choices: [], usage });
  assert.equal(new ChunkEncoder(completionShape(), { head, index: 0 }).opening(), null);
});

Deno.test("errorEvent() writes a failure in OpenAI's shape, in one line", () => {
  const error = { message: "It broke\u2028off", type: "server_error", param: null, code: "unavailable" };
  assert.deepEqual(jsonOf(errorEvent(new ArkError("unavailable", error.message))), { error });
});

Deno.test("KEEP_ALIVE is a comment and DONE is OpenAI's mark", () => {
  assert.equal(DECODER.decode(KEEP_ALIVE), ": keep-alive\n\n");
  assert.equal(DECODER.decode(DONE), "data: [DONE]\n\n");
});
