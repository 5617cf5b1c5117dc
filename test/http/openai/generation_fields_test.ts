import assert from "node:assert/strict";
import fc from "fast-check";
import { generationParameters, streamFields } from "../../../src/http/openai/generation_fields.ts";
import { RequestFault } from "../../../src/http/api/request_fault.ts";

function refused(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof RequestFault, String(error));
    assert.equal(error.fault, "invalid_value");
    assert.ok(error.message.startsWith(`Field ${error.param} `), error.message);
    return error.param;
  }
  throw new Error("It was accepted");
}

Deno.test("generationParameters() refuses a number out of range by its name, and clamps none", () => {
  const wrong: Record<string, unknown[]> = {
    max_tokens: [0, -1, 1.5, 1e9, "5", Infinity],
    max_completion_tokens: [0, -1, 1.5, "5"],
    temperature: [-0.1, 2.1, "1", true, [1]],
    top_p: [-0.1, 1.1],
    top_k: [-1, 0.5],
    min_p: [-0.1, 1.1],
    seed: [1.5, "7", 1e30, -1e30],
    frequency_penalty: [-2.1, 2.1],
    presence_penalty: [-2.1, 2.1],
    repeat_penalty: [0.9, 2.1],
    repetition_penalty: [0.9, "1"],
    repeat_last_n: [-1, 8_193],
    typical_p: [1.1],
    lora: [[{ name: "x" }], [{ name: "", scale: 1 }], {}],
    stop: [5, [""], "", [5], Array(17).fill("x"), ["x".repeat(257)], {}],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) assert.equal(refused(() => generationParameters({ [name]: value })), name);
  }
});

Deno.test("generationParameters() takes both names of the limit, unless they differ", () => {
  assert.deepEqual(generationParameters({ max_tokens: 5 }), { max_tokens: 5 });
  assert.deepEqual(generationParameters({ max_completion_tokens: 5 }), { max_tokens: 5 });
  assert.deepEqual(generationParameters({ max_completion_tokens: 5, max_tokens: 5 }), { max_tokens: 5 });
  const differ = { max_completion_tokens: 5, max_tokens: 6 };
  assert.equal(refused(() => generationParameters(differ)), "max_completion_tokens");
  assert.deepEqual(generationParameters({ repetition_penalty: 1.5 }), { repeat_penalty: 1.5 });
});

Deno.test("generationParameters() takes stop as a text or a list", () => {
  assert.deepEqual(generationParameters({ stop: "x" }), { stop: ["x"] });
  assert.deepEqual(generationParameters({ stop: ["x", "y"] }), { stop: ["x", "y"] });
  assert.deepEqual(generationParameters({ stop: [] }), { stop: [] });
});

Deno.test("generationParameters() makes of every 64-bit seed the same 32-bit one each time", () => {
  assert.equal(generationParameters({ seed: -1 }).seed, -1);
  assert.equal(generationParameters({ seed: 0xffffffff }).seed, 0xffffffff);
  assert.equal(generationParameters({ seed: 2 ** 32 + 7 }).seed, 7);
  fc.assert(fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (wide) => {
    const { seed } = generationParameters({ seed: Number(wide) });
    assert.ok(Number.isInteger(seed) && Number(seed) >= -0x80000000 && Number(seed) <= 0xffffffff);
    assert.equal(BigInt.asUintN(32, BigInt(Number(wide))), BigInt.asUintN(32, BigInt(Number(seed))));
  }));
});

Deno.test("streamFields() takes options together with a stream alone", () => {
  assert.deepEqual(streamFields({}), { stream: false, includeUsage: false });
  assert.deepEqual(streamFields({ stream: true }), { stream: true, includeUsage: false });
  const options = { include_usage: true, include_obfuscation: false };
  assert.deepEqual(streamFields({ stream: true, stream_options: options }), { stream: true, includeUsage: true });
  assert.deepEqual(streamFields({ stream: true, stream_options: {} }), { stream: true, includeUsage: false });
  assert.equal(refused(() => streamFields({ stream_options: {} })), "stream_options");
  assert.equal(refused(() => streamFields({ stream: false, stream_options: options })), "stream_options");
  assert.equal(refused(() => streamFields({ stream: true, stream_options: [] })), "stream_options");
  assert.equal(refused(() => streamFields({ stream: 1 })), "stream");
  const wrong = { stream: true, stream_options: { include_usage: "yes" } };
  assert.equal(refused(() => streamFields(wrong)), "stream_options.include_usage");
});
