import assert from "node:assert/strict";
import { chatQuestion, completionQuestion } from "../../../src/http/openai/question.ts";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { ArkError } from "@ark/node/protocol";
import { chat, MODEL } from "../api/scripted_answers.ts";

function fault(read: () => unknown): [string, string] {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof RequestFault, String(error));
    assert.match(error.message, /^Field \S+ (must|is) /);
    assert.ok(error.message.includes(error.param), error.message);
    return [error.param, error.fault];
  }
  throw new Error("It was accepted");
}

const ALL = {
  max_tokens: 5,
  temperature: 0,
  top_p: 0.5,
  top_k: 40,
  min_p: 0.1,
  seed: 7,
  stop: ["a", "b"],
  frequency_penalty: -2,
  presence_penalty: 2,
  repeat_penalty: 1.1,
};

Deno.test("chatQuestion() passes on model, messages and every known parameter", () => {
  assert.deepEqual(chatQuestion(chat({ ...ALL, stream: true, stream_options: { include_usage: true } })), {
    request: { model: MODEL, input: { kind: "chat", messages: [{ role: "user", content: "Hello" }] }, parameters: ALL },
    stream: true,
    includeUsage: true,
  });
});

Deno.test("chatQuestion() takes null for absent in every optional field", () => {
  const names = [
    ...Object.keys(ALL),
    ..."stream stream_options max_completion_tokens n tools functions tool_choice function_call logprobs".split(" "),
    ..."top_logprobs response_format logit_bias modalities audio web_search_options user metadata store".split(" "),
    ..."prediction service_tier reasoning_effort verbosity grammar json_schema parallel_tool_calls".split(" "),
  ];
  const question = chatQuestion(chat(Object.fromEntries(names.map((name) => [name, null]))));
  assert.deepEqual(question, chatQuestion(chat()));
  assert.deepEqual(question.request.parameters, {});
  assert.deepEqual([question.stream, question.includeUsage], [false, false]);
});

Deno.test("chatQuestion() leaves aside what does not change the answer, and what it does not know", () => {
  const harmless = {
    user: "canary",
    metadata: { a: "canary" },
    store: true,
    service_tier: "auto",
    safety_identifier: "canary",
    prompt_cache_key: "canary",
    parallel_tool_calls: true,
    logit_bias: {},
    n: 1,
    logprobs: false,
    top_logprobs: 0,
    response_format: { type: "text" },
    tools: [],
    functions: [],
    tool_choice: "auto",
    function_call: "none",
    modalities: ["text"],
    reasoning_effort: "high",
    verbosity: "low",
    prediction: { type: "content", content: "canary" },
    unheard_of: { canary: true },
  };
  const body = chat({ ...harmless, messages: [{ role: "user", name: "canary", content: "Hello", extra: "canary" }] });
  assert.deepEqual(chatQuestion(body), chatQuestion(chat()));
});

Deno.test.each<[string, unknown]>([
  ["n", 2],
  ["n", 0],
  ["tools", [{ type: "function" }]],
  ["functions", [{ name: "f" }]],
  ["tool_choice", "required"],
  ["tool_choice", { type: "function", function: { name: "f" } }],
  ["function_call", { name: "f" }],
  ["logprobs", true],
  ["top_logprobs", 3],
  ["response_format", { type: "json_object" }],
  ["response_format", { type: "json_schema", json_schema: {} }],
  ["response_format", {}],
  ["logit_bias", { "50256": -100 }],
  ["modalities", ["text", "audio"]],
  ["audio", { voice: "alloy" }],
  ["web_search_options", {}],
  ["grammar", 'root ::= "x"'],
  ["json_schema", { type: "object" }],
])("chatQuestion() refuses %s %o, which would change the answer", (name, value) => {
  assert.deepEqual(fault(() => chatQuestion(chat({ [name]: value }))), [name, "unsupported_value"]);
});

Deno.test.each<[string, unknown]>([
  ["suffix", "end"],
  ["echo", true],
  ["best_of", 2],
  ["n", 2],
  ["logprobs", 0],
  ["logit_bias", { "1": 1 }],
  ["prompt", ["a", "b"]],
  ["prompt", [1, 2, 3]],
  ["prompt", [[1, 2]]],
])("completionQuestion() refuses %s %o, which would change the answer", (name, value) => {
  const body = { model: MODEL, prompt: "Once", [name]: value };
  assert.deepEqual(fault(() => completionQuestion(body)), [name, "unsupported_value"]);
});

Deno.test("completionQuestion() takes a text, or a list of one", () => {
  const wanted = { model: MODEL, input: { kind: "completion", prompt: "Once" }, parameters: { max_tokens: 3 } };
  const harmless = { suffix: "", echo: false, best_of: 1, logprobs: null, user: "canary" };
  for (const prompt of ["Once", ["Once"]]) {
    const question = completionQuestion({ model: MODEL, prompt, max_tokens: 3, ...harmless });
    assert.deepEqual(question, { request: wanted, stream: false, includeUsage: false });
  }
  for (const prompt of [undefined, null, 5, [], {}]) {
    assert.deepEqual(fault(() => completionQuestion({ model: MODEL, prompt })), ["prompt", "invalid_value"]);
  }
});

Deno.test("chatQuestion() names the model's field, and refuses a body that is no object", () => {
  for (const model of [undefined, null, "", 5, "a\n", "x".repeat(201)]) {
    assert.deepEqual(fault(() => chatQuestion(chat({ model }))), ["model", "invalid_value"]);
  }
  for (const body of [null, [], "x", 5]) {
    assert.throws(() => chatQuestion(body), (error) => error instanceof ArkError && error.code === "bad_request");
  }
});

Deno.test("chatQuestion() reads own fields only", () => {
  const body = JSON.parse(`{"__proto__":{"temperature":9,"tools":[1]},${JSON.stringify(chat()).slice(1)}`);
  assert.deepEqual(chatQuestion(body), chatQuestion(chat()));
  const inherited = Object.assign(Object.create({ temperature: 1 }), chat());
  assert.deepEqual(chatQuestion(inherited).request.parameters, {});
});
