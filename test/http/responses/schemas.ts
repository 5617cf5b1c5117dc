/** What the Responses API may answer, as closed JSON schemas: what they do not know is refused. */
import type { Schema } from "../api/validate.ts";

const TEXT = { type: "string" };
const COUNT = { type: "integer", minimum: 0 };
const PLACE = { output_index: COUNT, item_id: { type: "string", pattern: "^(msg|rs|fc)_[0-9a-f]{36}$" } };
const FLAG = { type: "boolean" };
const NUMBER = { type: "number" };
const NOTHING = { type: "null" };

function orNull(schema: object): object {
  return { anyOf: [schema, NOTHING] };
}

/** An object with exactly these properties. */
function closed(properties: Record<string, object>): Schema {
  return { type: "object", additionalProperties: false, required: Object.keys(properties), properties };
}

function list(items: object): object {
  return { type: "array", items };
}

function only(...values: unknown[]): object {
  return { enum: values };
}

const CHANCE = { token: TEXT, bytes: list(COUNT), logprob: { type: "number", maximum: 0 } };
const LOGPROBS = list(closed({ ...CHANCE, top_logprobs: list(closed(CHANCE)) }));
const STATUS = only("in_progress", "completed", "incomplete");
const OUTPUT_TEXT = closed({
  type: only("output_text"),
  text: TEXT,
  annotations: { type: "array", maxItems: 0 },
  logprobs: LOGPROBS,
});
const REASONING_TEXT = closed({ type: only("reasoning_text"), text: TEXT });
const SUMMARY_TEXT = closed({ type: only("summary_text"), text: TEXT });

const MESSAGE = closed({
  id: { type: "string", pattern: "^msg_[0-9a-f]{36}$" },
  type: only("message"),
  role: only("assistant"),
  status: STATUS,
  content: list(OUTPUT_TEXT),
});
const REASONING = closed({
  id: { type: "string", pattern: "^rs_[0-9a-f]{36}$" },
  type: only("reasoning"),
  status: STATUS,
  summary: list(SUMMARY_TEXT),
  content: list(REASONING_TEXT),
});
const FUNCTION_CALL = closed({
  id: { type: "string", pattern: "^fc_[0-9a-f]{36}$" },
  type: only("function_call"),
  status: STATUS,
  call_id: { type: "string", minLength: 1 },
  name: { type: "string", minLength: 1 },
  arguments: TEXT,
});
const ITEM = { anyOf: [MESSAGE, REASONING, FUNCTION_CALL] };

const TOOL = closed({
  type: only("function"),
  name: TEXT,
  description: orNull(TEXT),
  parameters: orNull({ type: "object", additionalProperties: true }),
  strict: orNull(FLAG),
});
const NAMED = closed({ type: only("function"), name: TEXT });
const FORMAT = {
  anyOf: [
    closed({ type: only("text", "json_object") }),
    closed({
      type: only("json_schema"),
      name: TEXT,
      description: orNull(TEXT),
      schema: { type: "object", additionalProperties: true },
      strict: FLAG,
    }),
  ],
};

/** Fields that say the same from the first event to the last. */
const STEADY = {
  id: { type: "string", pattern: "^resp_[0-9a-f]{32}$" },
  object: only("response"),
  created_at: COUNT,
  model: { type: "string", minLength: 1 },
  background: { const: false },
  instructions: orNull(TEXT),
  max_output_tokens: orNull(COUNT),
  max_tool_calls: NOTHING,
  metadata: { type: "object", additionalProperties: TEXT },
  parallel_tool_calls: FLAG,
  previous_response_id: orNull(TEXT),
  prompt_cache_key: NOTHING,
  reasoning: closed({ effort: orNull(TEXT), summary: orNull(only("auto", "concise", "detailed")) }),
  safety_identifier: NOTHING,
  service_tier: only("default"),
  store: FLAG,
  temperature: NUMBER,
  text: closed({ format: FORMAT, verbosity: only("low", "medium", "high") }),
  tool_choice: {
    anyOf: [
      only("auto", "none", "required"),
      NAMED,
      closed({ type: only("allowed_tools"), mode: only("auto", "required"), tools: list(NAMED) }),
    ],
  },
  tools: list(TOOL),
  top_logprobs: COUNT,
  top_p: NUMBER,
  presence_penalty: NUMBER,
  frequency_penalty: NUMBER,
  truncation: only("disabled"),
  user: NOTHING,
};

const USAGE = closed({
  input_tokens: COUNT,
  input_tokens_details: closed({ cached_tokens: COUNT, cache_write_tokens: only(0) }),
  output_tokens: COUNT,
  output_tokens_details: closed({ reasoning_tokens: COUNT }),
  total_tokens: COUNT,
});

const BEGUN = closed({
  ...STEADY,
  status: only("in_progress"),
  completed_at: NOTHING,
  error: NOTHING,
  incomplete_details: NOTHING,
  output: { type: "array", maxItems: 0 },
  usage: NOTHING,
});
const COMPLETED = closed({
  ...STEADY,
  status: only("completed"),
  completed_at: COUNT,
  error: NOTHING,
  incomplete_details: NOTHING,
  output: { type: "array", minItems: 1, items: ITEM },
  usage: USAGE,
});
const INCOMPLETE = closed({
  ...STEADY,
  status: only("incomplete"),
  completed_at: NOTHING,
  error: NOTHING,
  incomplete_details: closed({ reason: only("max_output_tokens") }),
  output: { type: "array", minItems: 1, items: ITEM },
  usage: USAGE,
});
const FAILED = closed({
  ...STEADY,
  status: only("failed"),
  completed_at: NOTHING,
  error: closed({ code: only("server_error", "rate_limit_exceeded", "invalid_prompt"), message: TEXT }),
  incomplete_details: NOTHING,
  output: list(ITEM),
  usage: NOTHING,
});

/** A response in one piece. */
export const RESPONSE: Schema = { title: "Response", anyOf: [COMPLETED, INCOMPLETE] };

function event(type: string, properties: Record<string, object>): Schema {
  return { title: type, ...closed({ type: only(type), sequence_number: COUNT, ...properties }) };
}

const IN_PART = { ...PLACE, content_index: only(0) };
const IN_SUMMARY = { ...PLACE, summary_index: only(0) };
const PART = { anyOf: [OUTPUT_TEXT, REASONING_TEXT] };

/** The events of a stream by their names. */
export const EVENTS: Readonly<Record<string, Schema>> = Object.fromEntries([
  event("response.created", { response: BEGUN }),
  event("response.in_progress", { response: BEGUN }),
  event("response.output_item.added", { output_index: COUNT, item: ITEM }),
  event("response.output_item.done", { output_index: COUNT, item: ITEM }),
  event("response.content_part.added", { ...IN_PART, part: PART }),
  event("response.content_part.done", { ...IN_PART, part: PART }),
  event("response.output_text.delta", { ...IN_PART, delta: TEXT, logprobs: LOGPROBS }),
  event("response.output_text.done", { ...IN_PART, text: TEXT, logprobs: LOGPROBS }),
  event("response.reasoning_text.delta", { ...IN_PART, delta: TEXT }),
  event("response.reasoning_text.done", { ...IN_PART, text: TEXT }),
  event("response.reasoning_summary_part.added", { ...IN_SUMMARY, part: SUMMARY_TEXT }),
  event("response.reasoning_summary_part.done", { ...IN_SUMMARY, part: SUMMARY_TEXT }),
  event("response.reasoning_summary_text.delta", { ...IN_SUMMARY, delta: TEXT }),
  event("response.reasoning_summary_text.done", { ...IN_SUMMARY, text: TEXT }),
  event("response.function_call_arguments.delta", { ...PLACE, delta: TEXT }),
  event("response.function_call_arguments.done", { ...PLACE, arguments: TEXT }),
  event("response.completed", { response: COMPLETED }),
  event("response.incomplete", { response: INCOMPLETE }),
  event("response.failed", { response: FAILED }),
].map((schema) => [String(schema.title), schema]));

const INPUT_ID = { type: "string", pattern: "^(msg|rs|fc|fco)_[0-9a-f]{32}i[0-9a-f]{4}$" };
const INPUT_ITEM = {
  anyOf: [
    closed({
      id: INPUT_ID,
      type: only("message"),
      role: only("user", "assistant", "system", "developer"),
      status: only("completed"),
      content: list({
        anyOf: [
          closed({ type: only("input_text"), text: TEXT }),
          closed({ type: only("output_text"), text: TEXT, annotations: { type: "array", maxItems: 0 } }),
        ],
      }),
    }),
    closed({
      id: INPUT_ID,
      type: only("function_call"),
      call_id: TEXT,
      name: TEXT,
      arguments: TEXT,
      status: only("completed"),
    }),
    closed({
      id: INPUT_ID,
      type: only("function_call_output"),
      call_id: TEXT,
      output: TEXT,
      status: only("completed"),
    }),
    closed({
      id: INPUT_ID,
      type: only("reasoning"),
      summary: list(SUMMARY_TEXT),
      content: list(REASONING_TEXT),
    }),
  ],
};

/** A page of what a request said. */
export const INPUT_ITEMS: Schema = {
  title: "Input items",
  ...closed({
    object: only("list"),
    data: list(INPUT_ITEM),
    first_id: orNull(INPUT_ID),
    last_id: orNull(INPUT_ID),
    has_more: FLAG,
  }),
};

/** A response that was forgotten. */
export const DELETED: Schema = {
  title: "Deleted",
  ...closed({ id: TEXT, object: only("response"), deleted: { const: true } }),
};

/** How long a prompt is. */
export const INPUT_TOKENS: Schema = {
  title: "Input tokens",
  ...closed({ object: only("response.input_tokens"), input_tokens: COUNT }),
};

/** A failure. */
export const FAILURE: Schema = {
  title: "Failure",
  ...closed({
    error: closed({
      message: { type: "string", pattern: "^[A-Z]" },
      type: only(
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "rate_limit_error",
        "server_error",
      ),
      param: orNull(TEXT),
      code: orNull(TEXT),
    }),
  }),
};
