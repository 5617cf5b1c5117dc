import assert from "node:assert/strict";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { answerFields, modelOptions, streamField, thinkField } from "../../../src/http/ollama/model_options.ts";

Deno.test("modelOptions() takes Ollama's options under its own names", () => {
  const options = {
    num_predict: 42,
    temperature: 0.5,
    top_k: 40,
    top_p: 0.9,
    min_p: 0.05,
    typical_p: 0.7,
    seed: 7,
    stop: ["\n", "user:"],
    repeat_penalty: 1.2,
    repeat_last_n: 33,
    presence_penalty: 1.5,
    frequency_penalty: -1,
  };
  const { num_predict, ...same } = options;
  assert.deepEqual(modelOptions({ options }), { ...same, max_tokens: num_predict });
  assert.deepEqual(modelOptions({}), {});
  assert.deepEqual(modelOptions({ options: null }), {});
});

Deno.test("modelOptions() reads Ollama's numbers that stand for something else", () => {
  const of = (options: Record<string, unknown>) => modelOptions({ options });
  for (const num_predict of [-1, -2, 0]) assert.deepEqual(of({ num_predict }), {});
  assert.deepEqual(of({ seed: -1 }), {});
  assert.deepEqual(of({ seed: 0 }), { seed: 0 });
  assert.deepEqual(of({ seed: 2 ** 40 + 5 }), { seed: 5 });
  assert.deepEqual(of({ top_k: -1 }), { top_k: 0 });
  assert.deepEqual(of({ repeat_last_n: -1 }), { repeat_last_n: 8_192 });
  assert.deepEqual(of({ repeat_last_n: 0 }), { repeat_last_n: 0 });
  assert.deepEqual(of({ stop: "END" }), { stop: ["END"] });
});

Deno.test("modelOptions() leaves aside what would reconfigure the engine, and what Ollama does not know either", () => {
  const options = {
    num_ctx: 131_072,
    num_batch: 512,
    num_gpu: 99,
    main_gpu: 0,
    num_thread: 8,
    num_keep: 5,
    use_mmap: true,
    use_mlock: false,
    low_vram: false,
    numa: false,
    penalize_newline: true,
    mirostat: 0,
    mirostat_tau: 5,
    mirostat_eta: 0.1,
    tfs_z: 1,
    anything: { else: 1 },
  };
  assert.deepEqual(modelOptions({ options }), {});
});

Deno.test("modelOptions() refuses what cannot be meant, and samplers that are not there, by the field's name", () => {
  const wrong: Record<string, unknown> = {
    temperature: 3,
    top_p: "high",
    num_predict: 1.5,
    seed: 2 ** 70,
    stop: [1],
    num_ctx: "8k",
    mirostat: 2,
    tfs_z: 0.5,
    repeat_penalty: 0.1,
  };
  for (const [name, value] of Object.entries(wrong)) {
    const refused = (error: unknown) =>
      error instanceof RequestFault && error.param === `options.${name}` && error.message.includes(`options.${name}`);
    assert.throws(() => modelOptions({ options: { [name]: value } }), refused, name);
  }
  for (const options of ["x", 1, []]) assert.throws(() => modelOptions({ options }), RequestFault);
});

Deno.test("answerFields() reads the format and the number of alternatives", () => {
  const schema = { type: "object" };
  assert.deepEqual(answerFields({ format: "json" }), { format: { kind: "json" } });
  assert.deepEqual(answerFields({ format: schema }), { format: { kind: "json_schema", schema } });
  for (const format of ["", null, undefined]) assert.deepEqual(answerFields({ format }), {});
  for (const format of ["yaml", [], 1, true]) assert.throws(() => answerFields({ format }), RequestFault);
  assert.deepEqual(answerFields({ logprobs: true }), { logprobs: 0 });
  assert.deepEqual(answerFields({ logprobs: true, top_logprobs: 5 }), { logprobs: 5 });
  assert.deepEqual(answerFields({ logprobs: false, top_logprobs: 5 }), {});
  for (const top_logprobs of [-1, 21, 1.5, "5"]) {
    assert.throws(() => answerFields({ logprobs: true, top_logprobs }), RequestFault);
  }
});

Deno.test("streamField() and thinkField() read what Ollama's clients send", () => {
  assert.deepEqual([{}, { stream: null }, { stream: true }, { stream: false }].map(streamField), [
    true,
    true,
    true,
    false,
  ]);
  assert.throws(() => streamField({ stream: "yes" }), RequestFault);
  const thoughts = [{}, { think: true }, { think: false }, { think: "low" }, { think: "high" }];
  assert.deepEqual(thoughts.map(thinkField), [undefined, true, false, true, true]);
  for (const think of ["much", 1, {}]) assert.throws(() => thinkField({ think }), RequestFault);
});
