import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeWorkerMessage, type WorkerMessage } from "../../src/inference/worker/messages.ts";

const MESSAGES: WorkerMessage[] = [
  { type: "hello", protocol: 1, barrier: ["network", "data"] },
  { type: "loaded", context_size: 1024, threads: 1, gpu: null, engine: "llama.cpp v1", slots: 1 },
  { type: "loaded", context_size: 1024, threads: 8, gpu: "cuda", engine: "llama.cpp v1", slots: 1 },
  { type: "failed", message: "No memory" },
  { type: "start", id: 1, prompt_tokens: 3 },
  { type: "start", id: 1, prompt_tokens: 1, prompt_ids: "AQAAAA==" },
  { type: "progress", fraction: 0.5 },
  { type: "part", id: 1, part: { type: "text", text: "\u0000\n a", tokens: 1 } },
  {
    type: "end",
    id: 1,
    finish_reason: "stop",
    usage: { cached_tokens: 0, prompt_tokens: 3, completion_tokens: 1 },
    prompt_ms: 0.5,
    generation_ms: 1,
  },
  { type: "error", id: 1, code: "cancelled", message: "The request was cancelled" },
];

Deno.test("decodeWorkerMessage() reads every message, and drops what does not belong to it", () => {
  for (const message of MESSAGES) {
    assert.deepEqual(decodeWorkerMessage(JSON.parse(JSON.stringify(message))), message);
    assert.deepEqual(decodeWorkerMessage({ ...message, extra: 1 }), message);
  }
});

Deno.test("decodeWorkerMessage() refuses a message without any one of its fields", () => {
  for (const message of MESSAGES) {
    for (const field of Object.keys(message).filter((name) => name !== "gpu")) {
      const without = { ...message, [field]: undefined };
      if (field !== "prompt_ids") assert.throws(() => decodeWorkerMessage(without), SyntaxError, field);
      assert.throws(() => decodeWorkerMessage({ ...message, [field]: { toString: 1 } }), SyntaxError, field);
    }
  }
});

Deno.test("decodeWorkerMessage() reads or throws a SyntaxError, whatever the value", () => {
  const fields = fc.record({
    type: fc.constantFrom(...MESSAGES.map(({ type }) => type), "other"),
    id: fc.anything(),
    part: fc.oneof(fc.anything(), fc.record({ type: fc.constant("text"), text: fc.anything(), tokens: fc.anything() })),
    usage: fc.anything(),
    code: fc.anything(),
    message: fc.anything(),
    protocol: fc.anything(),
  });
  fc.assert(fc.property(fc.oneof(fc.anything(), fields), (value) => {
    try {
      decodeWorkerMessage(value);
    } catch (error) {
      assert.ok(error instanceof SyntaxError, String(error));
    }
  }));
});

Deno.test("decodeWorkerMessage() keeps a worker's sentence short and on one line", () => {
  const message = decodeWorkerMessage({ type: "failed", message: "a\u0000b\nc\u202e" + "d".repeat(1_000) });
  assert.ok(message.type === "failed");
  assert.match(message.message, /^a b c d+$/);
  assert.ok(message.message.length <= 400);
});
