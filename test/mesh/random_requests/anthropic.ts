import assert from "node:assert/strict";
import type { Random } from "../../fuzz/random.ts";
import { checked, replayed } from "../../http/anthropic/asking.ts";
import { FAILURE, MESSAGE, MODEL_INFO, MODEL_PAGE, TOKEN_COUNT } from "../../http/anthropic/schemas.ts";
import { namedEvents } from "../../http/api/named_events.ts";
import { valid } from "../../http/api/validate.ts";
import {
  type Answered,
  anything,
  type BodyFields,
  bodyOf,
  type FieldValue,
  FLAG,
  listOf,
  MODEL,
  number,
  oneOf,
  posted,
  type RandomFamily,
  type RandomRequest,
  TEXT,
  WHOLE,
} from "./random_request.ts";

const BLOCK: FieldValue = (random) => {
  if (random.once(30)) return anything(random);
  switch (random.below(7)) {
    case 0:
      return {
        type: "tool_use",
        id: "toolu_1",
        name: "weather",
        input: random.once(10) ? anything(random) : { a: "b" },
      };
    case 1:
      return { type: "tool_result", tool_use_id: random.pick(["toolu_1", "toolu_2"]), content: TEXT(random) };
    case 2:
      return { type: "thinking", thinking: TEXT(random), signature: "x" };
    case 3:
      return { type: random.pick(["image", "document", "redacted_thinking"]), source: {} };
    default:
      return { type: "text", text: TEXT(random) };
  }
};

const SPOKEN: FieldValue = (random) => {
  if (random.once(60)) return anything(random);
  const content = random.once(4) ? listOf(BLOCK, 3)(random) : TEXT(random);
  return { role: random.once(30) ? "x" : random.pick(["user", "user", "assistant", "system"]), content };
};

const MESSAGES: FieldValue = (random) =>
  random.once(20) ? [] : [{ role: "user", content: TEXT(random) }, ...listOf(SPOKEN, 3)(random) as unknown[]];

const TOOL: FieldValue = (random) => ({
  name: random.pick(["weather", "time", "a b"]),
  input_schema: random.once(20) ? anything(random) : { type: "object", properties: { a: { type: "string" } } },
  ...random.once(20) ? { type: "web_search_20250305" } : {},
});

const PROMPT: BodyFields = {
  needed: { model: MODEL, messages: MESSAGES },
  optional: {
    system: (random) => random.once(5) ? listOf(BLOCK, 2)(random) : TEXT(random),
    tools: listOf(TOOL, 3),
    tool_choice: oneOf({ type: "auto" }, { type: "any" }, { type: "none" }, { type: "tool", name: "weather" }, "x"),
    thinking: oneOf({ type: "enabled", budget_tokens: 1_024 }, { type: "disabled" }, { type: "x" }),
    metadata: oneOf({ user_id: "someone" }, {}, "x"),
    thread: oneOf(null, null, null, { type: "create" }),
  },
};

const QUESTION: BodyFields = {
  needed: { ...PROMPT.needed, max_tokens: number(1, 20, WHOLE) },
  optional: {
    ...PROMPT.optional,
    stream: FLAG,
    temperature: number(0, 1),
    top_p: number(0, 1),
    top_k: number(0, 100, WHOLE),
    stop_sequences: oneOf(["w3"], ["w3"], ["w1", "w2"], [], "w3", Array(17).fill("x")),
    output_config: oneOf({}, { format: { type: "json_schema", schema: { type: "object" } } }, { format: {} }),
  },
};

const TYPES: Readonly<Record<number, RegExp>> = {
  400: /^invalid_request_error$/,
  404: /^not_found_error$/,
  405: /^invalid_request_error$/,
  413: /^request_too_large$/,
  415: /^invalid_request_error$/,
  429: /^rate_limit_error$/,
  500: /^api_error$/,
  503: /^(overloaded|api)_error$/,
};

/** Anthropic's API. */
export const ANTHROPIC: RandomFamily = {
  name: "Anthropic",
  make(random: Random): RandomRequest {
    if (random.once(25)) return listing(random);
    if (random.once(10)) return posted(random, { path: "/v1/messages/count_tokens", body: bodyOf(random, PROMPT) });
    return posted(random, { path: "/v1/messages", body: bodyOf(random, QUESTION) });
  },
  check({ request, status, headers, text }: Answered): void {
    assert.match(headers.get("x-request-id") ?? "", /^req_[0-9a-f]{32}$/);
    const path = request.path.replace(/\?.*$/, "");
    // What is beside Anthropic's paths is OpenAI's to answer.
    if (status === 404 && !/^\/v1\/(messages|models)(\/|$)/.test(path)) return;
    assert.equal(headers.get("request-id"), headers.get("x-request-id"));
    if (status >= 400) {
      const { error } = valid(JSON.parse(text), FAILURE);
      assert.match(error.type, TYPES[status] ?? assert.fail(`${status}`));
      return;
    }
    assert.equal(status, 200);
    if (path === "/v1/models") return void valid(JSON.parse(text), MODEL_PAGE);
    if (path.startsWith("/v1/models/")) return void valid(JSON.parse(text), MODEL_INFO);
    if (path === "/v1/messages/count_tokens") return void valid(JSON.parse(text), TOKEN_COUNT);
    if (headers.get("content-type") !== "text/event-stream") return void valid(JSON.parse(text), MESSAGE);
    const events = checked(namedEvents(text));
    if (events.at(-1)?.type !== "error") replayed(events);
  },
};

function listing(random: Random): RandomRequest {
  const id = random.pick([
    "",
    "?limit=1",
    "?limit=x",
    "?after_id=none",
    "/arkling%3A9m-q4_0",
    "/nobody",
    "/%ff",
    "/__proto__",
  ]);
  const method = random.pick(["GET", "GET", "GET", "POST"]);
  const headers = { "anthropic-version": "2023-06-01" };
  return { method, path: `/v1/models${id}`, headers, body: null, leaves: false };
}
