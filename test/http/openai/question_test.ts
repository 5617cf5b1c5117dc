import assert from "node:assert/strict";
import { completionQuestion } from "../../../src/http/openai/completion_question.ts";
import { chatQuestion, type Question } from "../../../src/http/openai/question.ts";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { ArkError } from "@ark/node/protocol";
import { chat, MODEL } from "../api/scripted_answers.ts";

function fault(read: () => unknown): [string, string] {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof RequestFault, String(error));
    assert.match(error.message, /^Field \S+ (must|is|asks) /);
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
  typical_p: 0.9,
  seed: 7,
  stop: ["a", "b"],
  frequency_penalty: -2,
  presence_penalty: 2,
  repeat_penalty: 1.1,
  repeat_last_n: 32,
  lora: [{ name: "pirate", scale: 0.5 }],
};

/** What is asked, and how it is to be sent; the writers of a shape are not compared. */
function read({ requests, perPrompt, shape, stream, includeUsage }: Question) {
  const { writer: _writer, collector: _collector, ...plain } = shape;
  return { requests, perPrompt, shape: plain, stream, includeUsage };
}

function inputOf(body: Record<string, unknown>) {
  const { input } = chatQuestion(body).requests[0] ?? assert.fail();
  return input.kind === "chat" ? input : assert.fail();
}

function parametersOf(body: Record<string, unknown>) {
  return chatQuestion(body).requests[0]?.parameters;
}

const FUNCTION = { name: "weather", description: "Of a city", parameters: { type: "object" } };
const TOOL = { type: "function", function: { ...FUNCTION, strict: true } };
const OTHER = { type: "function", function: { name: "time" } };

Deno.test("chatQuestion() passes on model, messages and every known parameter", () => {
  const question = chatQuestion(chat({ ...ALL, stream: true, stream_options: { include_usage: true } }));
  assert.deepEqual(question.requests, [
    { model: MODEL, input: { kind: "chat", messages: [{ role: "user", content: "Hello" }] }, parameters: ALL },
  ]);
  assert.deepEqual([question.perPrompt, question.stream, question.includeUsage], [1, true, true]);
});

Deno.test("chatQuestion() takes null for absent in every optional field", () => {
  const names = [
    ...Object.keys(ALL),
    ..."stream stream_options max_completion_tokens n tools functions tool_choice function_call logprobs".split(" "),
    ..."top_logprobs response_format logit_bias modalities audio web_search_options user metadata store".split(" "),
    ..."prediction service_tier reasoning_effort verbosity grammar json_schema parallel_tool_calls".split(" "),
    ..."chat_template_kwargs repetition_penalty best_of samplers guided_json".split(" "),
  ];
  const question = chatQuestion(chat(Object.fromEntries(names.map((name) => [name, null]))));
  assert.deepEqual(read(question), read(chatQuestion(chat())));
  assert.deepEqual(question.requests[0]?.parameters, {});
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
    best_of: 1,
    logprobs: false,
    top_logprobs: 0,
    response_format: { type: "text" },
    grammar: "",
    tools: [],
    functions: [],
    tool_choice: "auto",
    function_call: "none",
    modalities: ["text"],
    verbosity: "low",
    prediction: { type: "content", content: "canary" },
    cache_prompt: true,
    mirostat: 0,
    ignore_eos: false,
    reasoning_format: "auto",
    unheard_of: { canary: true },
  };
  const body = chat({ ...harmless, messages: [{ role: "user", name: "canary", content: "Hello", extra: "canary" }] });
  assert.deepEqual(read(chatQuestion(body)), read(chatQuestion(chat())));
});

Deno.test.each<[string, unknown]>([
  ["modalities", ["text", "audio"]],
  ["audio", { voice: "alloy" }],
  ["web_search_options", {}],
  ["best_of", 2],
  ["mirostat", 2],
  ["dry_multiplier", 0.8],
  ["xtc_probability", 0.5],
  ["samplers", ["top_k"]],
  ["min_tokens", 5],
  ["ignore_eos", true],
  ["guided_regex", "a+"],
  ["structured_outputs", { choice: ["a"] }],
  ["chat_template", "{{ messages }}"],
  ["reasoning_format", "none"],
])("chatQuestion() refuses %s %o, which would change the answer", (name, value) => {
  assert.deepEqual(fault(() => chatQuestion(chat({ [name]: value }))), [name, "unsupported_value"]);
});

Deno.test("chatQuestion() passes functions on, and whether they may or must be called", () => {
  const tools = [FUNCTION, { name: "time" }];
  assert.deepEqual(inputOf(chat({ tools: [TOOL, OTHER] })).tools, tools);
  const choices: [unknown, unknown][] = [
    ["auto", "auto"],
    ["none", "none"],
    ["required", "required"],
    [{ type: "function", function: { name: "time" } }, { name: "time" }],
  ];
  for (const [tool_choice, wanted] of choices) {
    const input = inputOf(chat({ tools: [TOOL, OTHER], tool_choice, parallel_tool_calls: false }));
    assert.deepEqual([input.tool_choice, input.parallel_tool_calls], [wanted, false]);
  }
  assert.ok(!("parallel_tool_calls" in inputOf(chat({ tools: [TOOL] }))));
  // What there were before tools.
  const old = inputOf(chat({ functions: [FUNCTION], function_call: { name: "weather" } }));
  assert.deepEqual([old.tools, old.tool_choice, old.parallel_tool_calls], [[FUNCTION], { name: "weather" }, false]);
});

const REFUSED: [Record<string, unknown>, string, string?][] = [
  [{ tools: {} }, "tools"],
  [{ tools: [5] }, "tools[0]"],
  [{ tools: [{}] }, "tools[0].type"],
  [{ tools: [{ type: "web_search" }] }, "tools[0].type", "unsupported_value"],
  [{ tools: [{ type: "custom", custom: { name: "a" } }] }, "tools[0].type", "unsupported_value"],
  [{ tools: [{ type: "function" }] }, "tools[0].function"],
  [{ tools: [TOOL, { type: "function", function: {} }] }, "tools[1].function.name"],
  [{ tools: [{ type: "function", function: { name: "a b" } }] }, "tools[0].function.name"],
  [{ tools: [{ type: "function", function: { name: "a", description: 5 } }] }, "tools[0].function.description"],
  [{ tools: [{ type: "function", function: { name: "a", parameters: [] } }] }, "tools[0].function.parameters"],
  [{ tools: [TOOL, TOOL] }, "tools"],
  [{ tools: Array(257).fill(TOOL) }, "tools"],
  [{ tool_choice: "required" }, "tool_choice"],
  [{ tools: [TOOL], tool_choice: "always" }, "tool_choice"],
  [{ tools: [TOOL], tool_choice: { type: "function", function: { name: "time" } } }, "tool_choice"],
  [{ tools: [TOOL], tool_choice: { type: "function" } }, "tool_choice.function"],
  [{ tools: [TOOL], tool_choice: { type: "allowed_tools" } }, "tool_choice.type", "unsupported_value"],
  [{ tools: [TOOL], parallel_tool_calls: 1 }, "parallel_tool_calls"],
  [{ tools: [TOOL], functions: [FUNCTION] }, "functions"],
  [{ functions: [{ name: "" }] }, "functions[0].name"],
  [{ functions: [FUNCTION], function_call: { name: "time" } }, "function_call"],
  [{ function_call: { name: "time" } }, "function_call"],
  [{ n: 0 }, "n"],
  [{ n: 129 }, "n"],
  [{ n: 1.5 }, "n"],
  [{ logprobs: 1 }, "logprobs"],
  [{ top_logprobs: 3 }, "top_logprobs"],
  [{ logprobs: true, top_logprobs: 21 }, "top_logprobs"],
  [{ logprobs: true, top_logprobs: -1 }, "top_logprobs"],
  [{ reasoning_effort: "utmost" }, "reasoning_effort"],
  [{ chat_template_kwargs: { enable_thinking: "yes" } }, "chat_template_kwargs.enable_thinking"],
  [{ chat_template_kwargs: { date_string: "x" } }, "chat_template_kwargs", "unsupported_value"],
];

Deno.test("chatQuestion() refuses what can never be right by the name of its field", () => {
  for (const [fields, param, code = "invalid_value"] of REFUSED) {
    assert.deepEqual(fault(() => chatQuestion(chat(fields))), [param, code]);
  }
});

Deno.test("chatQuestion() takes what the answer must look like from OpenAI's and from llama.cpp's fields", () => {
  const schema = { type: "object", properties: { a: { type: "integer" } } };
  const json_schema = { name: "a", strict: true, schema };
  const wanted = { kind: "json_schema", schema };
  const forms: [Record<string, unknown>, unknown][] = [
    [{ response_format: { type: "json_object" } }, { kind: "json" }],
    [{ response_format: { type: "json_schema", json_schema } }, wanted],
    [{ response_format: { type: "json_schema", json_schema: { schema } } }, wanted],
    [{ response_format: { type: "json_schema", schema } }, wanted],
    [{ response_format: { type: "json_object", schema } }, wanted],
    [{ response_format: { type: "text" }, json_schema: schema }, wanted],
    [{ json_schema: {} }, { kind: "json_schema", schema: {} }],
    [{ grammar: 'root ::= "x"' }, { kind: "grammar", grammar: 'root ::= "x"' }],
  ];
  for (const [fields, format] of forms) assert.deepEqual(parametersOf(chat(fields)), { format });
});

const REFUSED_FORMATS: [Record<string, unknown>, string, string?][] = [
  [{ response_format: "json" }, "response_format"],
  [{ response_format: {} }, "response_format.type"],
  [{ response_format: { type: "xml" } }, "response_format.type", "unsupported_value"],
  [{ response_format: { type: "json_schema" } }, "response_format.json_schema"],
  [{ response_format: { type: "json_schema", json_schema: {} } }, "response_format.json_schema.schema"],
  [{ response_format: { type: "json_schema", json_schema: { schema: [] } } }, "response_format.json_schema.schema"],
  [{ json_schema: "object" }, "json_schema"],
  [{ grammar: 5 }, "grammar"],
  [{ grammar: "x".repeat(200_000) }, "grammar"],
  [{ grammar: 'root ::= "x"', response_format: { type: "json_object" } }, "response_format"],
];

Deno.test("chatQuestion() refuses a format that can never be right by the name of its field", () => {
  for (const [fields, param, code = "invalid_value"] of REFUSED_FORMATS) {
    assert.deepEqual(fault(() => chatQuestion(chat(fields))), [param, code]);
  }
});

Deno.test("chatQuestion() refuses a schema that is too deep instead of failing at it", () => {
  const deep = JSON.parse(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`);
  assert.deepEqual(fault(() => chatQuestion(chat({ json_schema: deep }))), ["json_schema", "invalid_value"]);
  const tools = [{ type: "function", function: { name: "a", parameters: deep } }];
  assert.deepEqual(fault(() => chatQuestion(chat({ tools }))), ["tools[0].function.parameters", "invalid_value"]);
});

Deno.test("chatQuestion() lets the model think, or not, as the client says in one of two ways", () => {
  const think = (fields: Record<string, unknown>) => inputOf(chat(fields)).think;
  assert.equal(think({}), undefined);
  const efforts = ["none", "minimal", "low", "medium", "high", "xhigh"];
  assert.deepEqual(efforts.map((reasoning_effort) => think({ reasoning_effort })), [
    false,
    false,
    true,
    true,
    true,
    true,
  ]);
  assert.deepEqual([think({ chat_template_kwargs: { enable_thinking: false } })], [false]);
  assert.deepEqual([think({ chat_template_kwargs: { thinking: true }, reasoning_effort: "none" })], [true]);
  assert.equal(think({ chat_template_kwargs: {} }), undefined);
});

Deno.test("chatQuestion() asks for probabilities as many as are wanted, and biases tokens", () => {
  assert.deepEqual(parametersOf(chat({ logprobs: true })), { logprobs: 0 });
  assert.deepEqual(parametersOf(chat({ logprobs: true, top_logprobs: 20 })), { logprobs: 20 });
  const wanted = { logit_bias: [[7, -100], [50_256, 1.5]] };
  assert.deepEqual(parametersOf(chat({ logit_bias: { "50256": 1.5, "7": -100 } })), wanted);
  assert.deepEqual(parametersOf(chat({ logit_bias: wanted.logit_bias })), wanted);
  for (const logit_bias of [{ a: 1 }, { "1.5": 1 }, { "-1": 1 }, { "1": 101 }, { "1": "x" }, 5, [1]]) {
    assert.deepEqual(fault(() => chatQuestion(chat({ logit_bias }))), ["logit_bias", "invalid_value"]);
  }
});

Deno.test("chatQuestion() makes of n answers n requests with seeds that follow each other, in 32 bits", () => {
  const seeds = (fields: Record<string, unknown>) =>
    chatQuestion(chat(fields)).requests.map(({ parameters }) => parameters.seed);
  assert.deepEqual(seeds({ n: 3, seed: 5 }), [5, 6, 7]);
  assert.deepEqual(seeds({ n: 2 }), [undefined, undefined]);
  assert.deepEqual(seeds({ n: 3, seed: 0xffffffff }), [0xffffffff, 0, 1]);
  assert.deepEqual(seeds({ n: 2, seed: -1 }), [-1, 0]);
});

const REFUSED_COMPLETIONS: [string, unknown, string?][] = [
  ["best_of", 2],
  ["guided_json", {}],
  ["prompt_logprobs", 1],
  ["logprobs", 21, "invalid_value"],
  ["logprobs", true, "invalid_value"],
  ["logprobs", "1", "invalid_value"],
  ["suffix", 5, "invalid_value"],
  ["echo", "yes", "invalid_value"],
  ["n", 0, "invalid_value"],
];

Deno.test("completionQuestion() refuses what it cannot do by the name of its field", () => {
  for (const [name, value, code = "unsupported_value"] of REFUSED_COMPLETIONS) {
    const body = { model: MODEL, prompt: "Once", [name]: value };
    assert.deepEqual(fault(() => completionQuestion(body)), [name, code]);
  }
});

Deno.test("completionQuestion() refuses to repeat what it cannot repeat", () => {
  const echo = (fields: Record<string, unknown>) =>
    fault(() => completionQuestion({ model: MODEL, prompt: "Once", echo: true, ...fields }));
  assert.deepEqual(echo({ logprobs: 1 }), ["echo", "unsupported_value"]);
  assert.deepEqual(echo({ prompt: [1, 2] }), ["echo", "unsupported_value"]);
});

Deno.test("completionQuestion() takes a text, texts, tokens and lists of tokens", () => {
  const harmless = { suffix: "", echo: false, best_of: 1, logprobs: null, user: "canary" };
  const cases: [unknown, (string | number[])[]][] = [
    ["Once", ["Once"]],
    [["Once"], ["Once"]],
    [["Once", ""], ["Once", ""]],
    [[1, 2], [[1, 2]]],
    [[[1, 2], [3]], [[1, 2], [3]]],
  ];
  for (const [prompt, wanted] of cases) {
    const question = completionQuestion({ model: MODEL, prompt, max_tokens: 3, ...harmless });
    assert.deepEqual(
      question.requests,
      wanted.map((prompt) => {
        return { model: MODEL, input: { kind: "completion", prompt }, parameters: { max_tokens: 3 } };
      }),
    );
  }
  for (const prompt of [undefined, null, 5, [], {}, [{}], [[]], [1, "a"], [-1], Array(129).fill("x")]) {
    const [param, code] = fault(() => completionQuestion({ model: MODEL, prompt }));
    assert.match(String(param), /^prompt/);
    assert.equal(code, "invalid_value");
  }
  const many = { model: MODEL, prompt: Array(64).fill("x"), n: 3 };
  assert.deepEqual(fault(() => completionQuestion(many)), ["n", "invalid_value"]);
});

Deno.test("completionQuestion() passes on what stands after the gap, what it must look like and what is to be told", () => {
  const { requests } = completionQuestion({
    model: MODEL,
    prompt: "a",
    suffix: "z",
    logprobs: 3,
    grammar: "g",
    n: 2,
    seed: 1,
  });
  assert.deepEqual(requests[1], {
    model: MODEL,
    input: { kind: "completion", prompt: "a", suffix: "z" },
    parameters: { seed: 2, format: { kind: "grammar", grammar: "g" }, logprobs: 3 },
  });
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
  assert.deepEqual(read(chatQuestion(body)), read(chatQuestion(chat())));
  const inherited = Object.assign(Object.create({ temperature: 1 }), chat());
  assert.deepEqual(parametersOf(inherited), {});
});
