import assert from "node:assert/strict";
import type { GenerationParameters } from "@ark/node/protocol";
import { EngineProcess } from "../support/engine_process.ts";

Deno.test("The addon engine refuses what it cannot do, where leaving it out would change the answer", async () => {
  await using worker = await EngineProcess.load("test/fixtures/arkling-9m-q4_0.gguf", { engine: "addon" });
  const refused: [GenerationParameters, RegExp][] = [
    [{ typical_p: 0.5 }, /typical_p/],
    [{ lora: [{ name: "a", scale: 1 }] }, /lora/],
    [{ logprobs: 1, temperature: 0.8 }, /temperature 0/],
    [{ logprobs: 1 }, /temperature 0/],
    [{ logit_bias: [[10_000_000, 1]] }, /none of them/],
    [{ logit_bias: [[1, -100]] }, /end of an answer/],
  ];
  for (const [parameters, message] of refused) {
    await assert.rejects(worker.ask({ parameters }), { code: "bad_request", message });
  }
  await assert.rejects(worker.ask({ input: { kind: "completion", prompt: [1, 10_000_000] } }), {
    code: "bad_request",
    message: /none of them/,
  });
  await assert.rejects(worker.ask({ input: { kind: "embed", texts: ["a"] } }), { code: "bad_request" });
  const answer = await worker.ask({
    parameters: { typical_p: 1, lora: [], max_tokens: 2, repeat_last_n: 0, repeat_penalty: 2 },
  });
  assert.equal(answer.usage.completion_tokens, 2);
});

Deno.test("The addon engine looks back for penalties as far as it is told", async () => {
  await using worker = await EngineProcess.load("test/fixtures/arkling-9m-q4_0.gguf", { engine: "addon" });
  const ask = async (repeat_last_n: number) => {
    const parameters = { temperature: 0, max_tokens: 20, repeat_penalty: 2, repeat_last_n };
    return (await worker.ask({ input: { kind: "completion", prompt: "a b a b a b a b" }, parameters })).text;
  };
  const plain = await worker.ask({
    input: { kind: "completion", prompt: "a b a b a b a b" },
    parameters: { temperature: 0, max_tokens: 20 },
  });
  assert.equal(await ask(0), plain.text);
  assert.notEqual(await ask(64), plain.text);
});
