/** What Anthropic's API may answer, as closed JSON schemas: what they do not know is refused. */
import type { Schema } from "../api/validate.ts";

const TEXT = { type: "string" };
const COUNT = { type: "integer", minimum: 0 };
const NOTHING = { type: "null" };

function orNull(schema: object): object {
  return { anyOf: [schema, NOTHING] };
}

/** An object with exactly these properties. */
function closed(properties: Record<string, object>): Schema {
  return { type: "object", additionalProperties: false, required: Object.keys(properties), properties };
}

function only(...values: unknown[]): object {
  return { enum: values };
}

const COST = {
  input_tokens: COUNT,
  cache_creation_input_tokens: only(0),
  cache_read_input_tokens: COUNT,
  output_tokens: COUNT,
  output_tokens_details: closed({ thinking_tokens: COUNT }),
  server_tool_use: NOTHING,
};
const USAGE = closed({
  ...COST,
  cache_creation: NOTHING,
  inference_geo: NOTHING,
  service_tier: NOTHING,
  speed: NOTHING,
});

/** A block of an answer, with what its text is checked by. */
function blocks(text: object, signature: object, input: object): object {
  return {
    anyOf: [
      closed({ type: only("text"), text }),
      closed({ type: only("thinking"), thinking: text, signature }),
      closed({
        type: only("tool_use"),
        id: { type: "string", minLength: 1 },
        name: { type: "string", minLength: 1 },
        input,
        caller: closed({ type: only("direct") }),
      }),
    ],
  };
}

const BLOCK = blocks({ type: "string", minLength: 1 }, { type: "string", minLength: 1 }, {
  type: "object",
  additionalProperties: true,
});
const EMPTY_BLOCK = blocks(only(""), only(""), { type: "object", additionalProperties: false });

const HEAD = {
  id: { type: "string", pattern: "^msg_[0-9a-f]{32}$" },
  type: only("message"),
  role: only("assistant"),
  model: { type: "string", minLength: 1 },
  stop_details: NOTHING,
  container: NOTHING,
  diagnostics: NOTHING,
  usage: USAGE,
};
const STOPPED = {
  stop_reason: only("end_turn", "max_tokens", "stop_sequence", "tool_use"),
  stop_sequence: orNull({ type: "string", minLength: 1 }),
};

/** A message in one piece. */
export const MESSAGE: Schema = {
  title: "Message",
  ...closed({ ...HEAD, ...STOPPED, content: { type: "array", items: BLOCK } }),
};

function event(type: string, properties: Record<string, object> = {}): Schema {
  return { title: type, ...closed({ type: only(type), ...properties }) };
}

const BEGUN = closed({
  ...HEAD,
  stop_reason: NOTHING,
  stop_sequence: NOTHING,
  content: { type: "array", maxItems: 0 },
});
const DELTA = {
  anyOf: [
    closed({ type: only("text_delta"), text: { type: "string", minLength: 1 } }),
    closed({ type: only("thinking_delta"), thinking: { type: "string", minLength: 1 } }),
    closed({ type: only("signature_delta"), signature: { type: "string", minLength: 1 } }),
    closed({ type: only("input_json_delta"), partial_json: { type: "string", minLength: 1 } }),
  ],
};

/** A failure, in one piece and as an event. */
export const FAILURE: Schema = {
  title: "Failure",
  ...closed({
    type: only("error"),
    request_id: { type: "string", pattern: "^req_[0-9a-f]{32}$" },
    error: {
      type: "object",
      additionalProperties: false,
      required: ["type", "message"],
      properties: {
        type: only(
          "invalid_request_error",
          "authentication_error",
          "permission_error",
          "not_found_error",
          "request_too_large",
          "rate_limit_error",
          "api_error",
          "overloaded_error",
        ),
        message: { type: "string", pattern: "^[A-Z]" },
        details: closed({ error_code: TEXT, unsupported: { type: "array", items: TEXT } }),
      },
    },
  }),
};

/** The events of a stream by their names. */
export const EVENTS: Readonly<Record<string, Schema>> = {
  ...Object.fromEntries([
    event("message_start", { message: BEGUN }),
    event("ping"),
    event("content_block_start", { index: COUNT, content_block: EMPTY_BLOCK }),
    event("content_block_delta", { index: COUNT, delta: DELTA }),
    event("content_block_stop", { index: COUNT }),
    event("message_delta", {
      delta: closed({ ...STOPPED, stop_details: NOTHING, container: NOTHING }),
      usage: closed(COST),
    }),
    event("message_stop"),
  ].map((schema) => [String(schema.title), schema])),
  error: FAILURE,
};

/** How long a prompt is. */
export const TOKEN_COUNT: Schema = { title: "Token count", ...closed({ input_tokens: COUNT }) };

const MODEL = closed({
  type: only("model"),
  id: { type: "string", minLength: 1 },
  display_name: { type: "string", minLength: 1 },
  created_at: { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$" },
  lifecycle: only("active"),
  max_input_tokens: COUNT,
  max_tokens: NOTHING,
  capabilities: NOTHING,
  line: NOTHING,
  deprecated_at: NOTHING,
  retires_at: NOTHING,
});

/** One model. */
export const MODEL_INFO: Schema = { title: "Model", ...MODEL };

/** A page of models. */
export const MODEL_PAGE: Schema = {
  title: "Models",
  ...closed({
    data: { type: "array", items: MODEL },
    has_more: { type: "boolean" },
    first_id: orNull(TEXT),
    last_id: orNull(TEXT),
  }),
};
