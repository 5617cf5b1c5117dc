import assert from "node:assert/strict";
import type { Random } from "../../fuzz/random.ts";
import { namedEvents } from "../../http/api/named_events.ts";
import { valid } from "../../http/api/validate.ts";
import { checked, replayed } from "../../http/responses/asking.ts";
import { FAILURE, INPUT_TOKENS, RESPONSE } from "../../http/responses/schemas.ts";
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

const PART: FieldValue = (random) => ({ type: random.once(15) ? "input_image" : "input_text", text: TEXT(random) });

const ITEM: FieldValue = (random) => {
  if (random.once(40)) return anything(random);
  switch (random.below(8)) {
    case 0:
      return { type: "function_call", call_id: "call_1", name: "weather", arguments: random.pick(["{}", "{"]) };
    case 1:
      return { type: "function_call_output", call_id: random.pick(["call_1", "call_2"]), output: TEXT(random) };
    case 2:
      return { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: TEXT(random) }] };
    case 3:
      return { role: "assistant", content: [{ type: "output_text", text: TEXT(random) }] };
    case 4:
      return { type: "item_reference", id: random.pick(["msg_1", `msg_${"0".repeat(36)}`, 5]) };
    default:
      return { role: random.pick(["user", "user", "developer", "x"]), content: listOf(PART, 3)(random) };
  }
};

const TOOL: FieldValue = (random) => ({
  type: random.once(20) ? "web_search" : "function",
  name: random.pick(["weather", "time", "a b"]),
  parameters: random.once(20) ? anything(random) : { type: "object", properties: { a: { type: "string" } } },
});

const FORMAT: FieldValue = (random) =>
  random.pick([{ type: "text" }, { type: "json_object" }, {
    type: "json_schema",
    name: "x",
    schema: random.once(10) ? anything(random) : { type: "object", properties: { a: { type: "integer" } } },
  }]);

const RESPONSE_FIELDS: BodyFields = {
  needed: {
    model: MODEL,
    input: (random) => random.once(2) ? TEXT(random) : listOf(ITEM, 5)(random),
    max_output_tokens: number(1, 20, WHOLE),
  },
  optional: {
    instructions: TEXT,
    stream: FLAG,
    store: FLAG,
    temperature: number(0, 2),
    top_p: number(0, 1),
    top_logprobs: number(0, 20, WHOLE),
    include: oneOf([], ["message.output_text.logprobs"], ["x"], "x"),
    metadata: oneOf({}, { a: "b" }, { a: 1 }),
    tools: listOf(TOOL, 3),
    tool_choice: oneOf("auto", "none", "required", { type: "function", name: "weather" }, {
      type: "allowed_tools",
      mode: "auto",
      tools: [{ type: "function", name: "weather" }],
    }, "x"),
    parallel_tool_calls: FLAG,
    previous_response_id: oneOf("resp_1", `resp_${"0".repeat(32)}`, ""),
    reasoning: oneOf({}, { effort: "low", summary: "auto" }, { effort: "none" }, { effort: "x" }),
    text: (random) => ({ format: FORMAT(random) }),
    truncation: oneOf("auto", "disabled", "x"),
    background: FLAG,
  },
};

const COUNT_FIELDS: BodyFields = { needed: { model: MODEL, input: TEXT }, optional: {} };

/** Every `error.code` there is; `internal`, a fault of the node's own, is none of them. */
const CODES = new Set<string | null>([
  null,
  ..."invalid_value unsupported_value previous_response_not_found response_not_found".split(" "),
  ..."context_length_exceeded model_not_found request_too_large rate_limit_exceeded engine_failed".split(" "),
  ..."unavailable unknown_url method_not_allowed".split(" "),
]);

/** OpenAI's Responses API. */
export const RESPONSES: RandomFamily = {
  name: "Responses",
  make(random: Random): RandomRequest {
    if (random.once(12)) return kept(random);
    if (random.once(12)) {
      return posted(random, { path: "/v1/responses/input_tokens", body: bodyOf(random, COUNT_FIELDS) });
    }
    return posted(random, { path: "/v1/responses", body: bodyOf(random, RESPONSE_FIELDS) });
  },
  check({ request, status, headers, text }: Answered): void {
    assert.match(headers.get("x-request-id") ?? "", /^req_[0-9a-f]{32}$/);
    if (status >= 400) {
      const { error: { code, type } } = valid(JSON.parse(text), FAILURE);
      assert.ok(CODES.has(code), `${status} ${code}`);
      assert.match(type, status >= 500 ? /^server_error$/ : /^(invalid_request|rate_limit)_error$/);
      return;
    }
    assert.equal(status, 200);
    if (request.path.startsWith("/v1/responses/input_tokens")) return void valid(JSON.parse(text), INPUT_TOKENS);
    if (headers.get("content-type") !== "text/event-stream") return void valid(JSON.parse(text), RESPONSE);
    assert.match(replayed(checked(namedEvents(text))).type, /^response\.(completed|incomplete|failed)$/);
  },
};

function kept(random: Random): RandomRequest {
  const id = random.pick(["resp_1", `resp_${"0".repeat(32)}`, "%ff", "__proto__", "x".repeat(2_000)]);
  const more = random.pick(["", "/input_items", "/input_items?limit=x", "/cancel", "/x", "?stream=true"]);
  const method = random.pick(["GET", "DELETE", "POST", "PUT"]);
  return { method, path: `/v1/responses/${id}${more}`, headers: {}, body: null, leaves: false };
}
