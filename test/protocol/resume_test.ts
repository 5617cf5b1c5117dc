import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeAnswerPart,
  decodeInferenceEvent,
  decodeInferenceRequest,
  decodeTokenIds,
  encodeTokenIds,
  isTokenIds,
  joinParts,
  LIMITS,
} from "@ark/node/protocol";

const ASKED = { model: "m", input: { kind: "completion", prompt: "x" }, parameters: {} };
const ONE = encodeTokenIds([1]);

Deno.test("encodeTokenIds() and decodeTokenIds() are each other's inverse", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 })), (ids) => {
    assert.deepEqual(decodeTokenIds(encodeTokenIds(ids)), ids);
  }));
  assert.equal(encodeTokenIds([1, 256]), "AQAAAAABAAA=");
});

Deno.test("isTokenIds() takes whole ids in their one spelling, at least one, and no more than may be resumed", () => {
  assert.ok(isTokenIds(ONE));
  assert.ok(isTokenIds(encodeTokenIds(new Array(LIMITS.resumedTokens).fill(7))));
  assert.ok(!isTokenIds(encodeTokenIds(new Array(LIMITS.resumedTokens + 1).fill(7))));
  for (const not of ["", "AQAAAA", "AQAAAB==", "AQAA", "////////", "AQAA AA==", 7, null, [1]]) {
    assert.ok(!isTokenIds(not));
  }
});

Deno.test("decodeInferenceRequest() reads how far an answer has come, and nothing beside it", () => {
  const request = { ...ASKED, ids: true, resume: { prompt: ONE, written: ONE } };
  assert.deepEqual(decodeInferenceRequest(request), request);
  for (
    const resume of [{ prompt: ONE }, { prompt: ONE, written: "" }, { prompt: ONE, written: ONE, text: "x" }, null]
  ) {
    assert.throws(() => decodeInferenceRequest({ ...ASKED, resume }), { code: "bad_request" });
  }
  const long = encodeTokenIds(new Array(LIMITS.resumedTokens).fill(7));
  assert.throws(() => decodeInferenceRequest({ ...ASKED, resume: { prompt: long, written: ONE } }), {
    code: "bad_request",
  });
  assert.throws(() => decodeInferenceRequest({ ...ASKED, ids: false }), { code: "bad_request" });
});

Deno.test("decodeInferenceEvent() keeps ids that are sound, and drops a prompt that is not", () => {
  const start = { type: "start", model: "m", digest: null, prompt_tokens: 1 };
  assert.deepEqual(decodeInferenceEvent({ ...start, prompt_ids: ONE }), { ...start, prompt_ids: ONE });
  assert.deepEqual(decodeInferenceEvent({ ...start, prompt_ids: "x" }), start);
  const part = { type: "text", text: "x", tokens: 1, ids: [3] };
  assert.deepEqual(decodeAnswerPart(part), part);
  for (const ids of [[-1], [0.5], ["1"], [2 ** 31], 7, null, new Array(LIMITS.partIds + 1).fill(1)]) {
    assert.equal(decodeAnswerPart({ ...part, ids }), null);
  }
});

Deno.test("joinParts() joins ids, too", () => {
  const part = { type: "reasoning" as const, text: "x", tokens: 1, ids: [3] };
  assert.deepEqual(joinParts(part, { ...part, ids: [4] }), { type: "reasoning", text: "xx", tokens: 2, ids: [3, 4] });
});
