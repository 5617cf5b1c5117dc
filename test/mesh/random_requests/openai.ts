import assert from "node:assert/strict";
import type { Random } from "../../fuzz/random.ts";
import { ANSWERS, SCHEMAS } from "../../http/openai/answered.ts";
import { valid } from "../../http/api/validate.ts";
import {
  type Answered,
  anything,
  type BodyFields,
  bodyOf,
  type FieldValue,
  FLAG,
  listOf,
  number,
  oneOf,
  posted,
  type RandomFamily,
  type RandomRequest,
  WHOLE,
} from "./random_request.ts";

/** The one model that the node has, by some of its names, and models that it has not. */
const MODEL: FieldValue = (random) =>
  random.once(30) ? random.pick(["nobody-has-it", "", "a/b:c", 5, "\n"]) : random.pick(["arkling:9m-q4_0", "arkling"]);

/** What a prompt says; the engine of the node does what some of it tells. */
const TEXT: FieldValue = (random) => {
  if (random.once(400)) return random.pick(["#crash-after=1", "#garbage"]);
  return random.pick([
    "one two three",
    "Grüße 😀",
    "#call=weather",
    "#call=weather #call=time",
    "#think",
    "#stop=2",
    "",
    "#fail-after=1",
    "\u2028\ud800",
    "x ".repeat(1_100),
  ]);
};

const TOOL: FieldValue = (random) => ({
  type: random.once(20) ? "custom" : "function",
  function: {
    name: random.pick(["weather", "time", "a b", "x.y-z_1"]),
    parameters: random.once(20) ? anything(random) : { type: "object", properties: { a: { type: "string" } } },
  },
});

const CALL: FieldValue = (random) => ({
  id: random.pick(["call_1", "call_2", ""]),
  type: "function",
  function: { name: "weather", arguments: random.pick(["{}", "{", '{"a":"b"}']) },
});

const PART: FieldValue = (random) => ({ type: random.once(10) ? "image_url" : "text", text: TEXT(random) });

const MESSAGE: FieldValue = (random) => {
  if (random.once(60)) return anything(random);
  const content = random.once(5) ? listOf(PART, 3)(random) : TEXT(random);
  switch (random.below(8)) {
    case 0:
      return { role: "assistant", content: null, tool_calls: listOf(CALL, 2)(random) };
    case 1:
      return { role: "tool", content, tool_call_id: "call_1" };
    case 2:
      return { role: random.pick(["system", "developer", "function", "x"]), content };
    case 3:
      return { role: "assistant", content, reasoning_content: "hm" };
    default:
      return { role: "user", content };
  }
};

const SCHEMA: FieldValue = (random) =>
  random.once(10) ? anything(random) : {
    type: "object",
    properties: { a: { type: random.pick(["string", "integer", "array", "boolean"]) } },
    required: random.pick([[], ["a"]]),
  };

const FORMAT: FieldValue = (random) => {
  const schema = SCHEMA(random);
  return random.pick([{ type: "text" }, { type: "json_object" }, {
    type: "json_schema",
    json_schema: { name: "x", schema },
  }]);
};

const GENERATION: Readonly<Record<string, FieldValue>> = {
  temperature: number(0, 2),
  top_p: number(0, 1),
  top_k: number(0, 100, WHOLE),
  seed: number(0, 2 ** 32, WHOLE),
  stop: oneOf("w3", ["w1", "w2"], [], "", Array(17).fill("x")),
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  logit_bias: oneOf({}, { "5": 1 }, { "5": 101 }, { a: 1 }, [[5, 1]]),
  n: oneOf(1, 2, 3, 0, 200),
  stream: FLAG,
  stream_options: oneOf({ include_usage: true }, {}, null),
  response_format: FORMAT,
  json_schema: SCHEMA,
  user: oneOf("someone"),
  mirostat: oneOf(0, 2),
  lora: oneOf([], [{ name: "x", scale: 1 }]),
};

const CHAT: BodyFields = {
  needed: { model: MODEL, messages: listOf(MESSAGE, 4), max_tokens: number(1, 20, WHOLE) },
  optional: {
    ...GENERATION,
    tools: listOf(TOOL, 3),
    tool_choice: oneOf("auto", "none", "required", { type: "function", function: { name: "weather" } }, "x"),
    parallel_tool_calls: FLAG,
    functions: oneOf([], [{ name: "weather" }]),
    logprobs: FLAG,
    top_logprobs: number(0, 20, WHOLE),
    reasoning_effort: oneOf("none", "low", "high", "x"),
    chat_template_kwargs: oneOf({}, { enable_thinking: true }, { other: 1 }),
    modalities: oneOf(["text"], ["audio"]),
  },
};

const COMPLETION: BodyFields = {
  needed: {
    model: MODEL,
    prompt: (random) => random.pick([TEXT(random), listOf(TEXT, 3)(random), [1, 2, 3], [[1], [2, 3]]]),
    max_tokens: number(1, 20, WHOLE),
  },
  optional: {
    ...GENERATION,
    best_of: oneOf(1, 2),
    logprobs: number(0, 5, WHOLE),
    echo: FLAG,
    suffix: oneOf("", "z"),
  },
};

const EMBEDDING: BodyFields = {
  needed: {
    model: MODEL,
    input: (random) => random.pick([TEXT(random), listOf(TEXT, 4)(random), [1, 2, 3], [[1], [2, 3]], [[]]]),
  },
  optional: {
    encoding_format: oneOf("float", "base64", "int8"),
    dimensions: number(1, 8, WHOLE),
    user: oneOf("someone"),
  },
};

const DOCUMENT: FieldValue = (random) => random.once(4) ? { text: TEXT(random) } : TEXT(random);

const RERANK: BodyFields = {
  needed: { model: MODEL, query: TEXT, documents: listOf(DOCUMENT, 5) },
  optional: { top_n: number(1, 9, WHOLE), return_documents: FLAG, texts: listOf(TEXT, 3) },
};

/** How often each path is asked, and with what. */
const PATHS: readonly [path: string, share: number, fields: BodyFields][] = [
  ["/v1/chat/completions", 10, CHAT],
  ["/v1/completions", 5, COMPLETION],
  ["/v1/embeddings", 2, EMBEDDING],
  ["/v1/rerank", 2, RERANK],
];

const ALL = PATHS.flatMap(([path, share, fields]) =>
  Array(share).fill({ path, fields }) as { path: string; fields: BodyFields }[]
);

/** Every `error.code` there is; `internal`, a fault of the node's own, is none of them. */
const CODES = new Set<string | null>([
  null,
  ..."invalid_value unsupported_value context_length_exceeded model_not_found request_too_large".split(" "),
  ..."rate_limit_exceeded engine_failed unavailable unknown_url method_not_allowed".split(" "),
]);

/** OpenAI's API. */
export const OPENAI: RandomFamily = {
  name: "OpenAI",
  make(random: Random): RandomRequest {
    if (random.once(25)) return listing(random);
    const { path, fields } = random.pick(ALL);
    return posted(random, { path, body: bodyOf(random, fields) });
  },
  check({ request, status, headers, text }: Answered): void {
    assert.match(headers.get("x-request-id") ?? "", /^req_[0-9a-f]{32}$/);
    if (status >= 400) return failed(JSON.parse(text), status);
    assert.equal(status, 200);
    const path = request.path.replace(/\?.*$/, "");
    if (path.startsWith("/v1/models")) {
      return void valid(JSON.parse(text), path === "/v1/models" ? SCHEMAS.modelList : SCHEMAS.model);
    }
    const answer = ANSWERS[path] ?? assert.fail(path);
    if (headers.get("content-type") !== "text/event-stream") {
      const body = JSON.parse(text);
      return void valid(body, Array.isArray(body) ? SCHEMAS.rerankTei : answer.whole);
    }
    assert.ok(text.endsWith("\n\n"));
    const events = text.split("\n\n").slice(0, -1).filter((event) => !event.startsWith(":"));
    const last = events.pop()?.replace(/^data: /, "") ?? assert.fail("The stream is empty");
    if (last !== "[DONE]") failed(JSON.parse(last), 200);
    for (const event of events) valid(JSON.parse(event.replace(/^data: /, "")), answer.chunk ?? assert.fail(path));
  },
};

function listing(random: Random): RandomRequest {
  const id = random.pick(["", "/arkling:9m-q4_0", "/arkling%3A9m-q4_0", "/nobody", "/%ff", "/a/b/c", "/__proto__"]);
  const method = random.pick(["GET", "GET", "GET", "POST"]);
  return { method, path: `/v1/models${id}`, headers: {}, body: null, leaves: false };
}

function failed(body: unknown, status: number): void {
  const { error: { code, type } } = valid(body, SCHEMAS.error);
  assert.ok(CODES.has(code), `${status} ${code}`);
  if (status >= 500) assert.equal(type, "server_error");
  else if (status >= 400) assert.match(type, /^(invalid_request|rate_limit)_error$/);
}
