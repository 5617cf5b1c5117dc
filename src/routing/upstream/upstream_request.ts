import {
  ArkError,
  type ChatInput,
  type GenerationParameters,
  type InferenceRequest,
  type Message,
  type OutputFormat,
} from "@ark/node/protocol";

/** A call of an upstream server: a path below its base, and the JSON that is sent there. */
export interface UpstreamCall {
  /** Such as `chat/completions`. */
  readonly path: "chat/completions" | "completions" | "embeddings" | "rerank";
  /** The body. */
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * A request as OpenAI's API spells it. What the client did not say is not said here either, since servers differ in the
 * fields that they know.
 *
 * @throws {ArkError} `bad_request` for what no such server can do.
 */
export function upstreamCall({ model, input, parameters, count_only }: InferenceRequest): UpstreamCall {
  if (count_only === true) {
    throw new ArkError(
      "bad_request",
      "The server that has this model cannot count tokens without an answer; ask it to answer",
    );
  }
  if (parameters.lora !== undefined) {
    throw new ArkError("bad_request", "Field lora is for models of this node itself; ask without it");
  }
  switch (input.kind) {
    case "embed":
      return { path: "embeddings", body: { model, input: input.texts, encoding_format: "float" } };
    case "rerank":
      return { path: "rerank", body: { model, query: input.query, documents: input.documents } };
    case "completion": {
      const { logprobs, ...rest } = written(parameters);
      const chances = logprobs === undefined ? {} : { logprobs: parameters.logprobs };
      const suffix = input.suffix === undefined ? {} : { suffix: input.suffix };
      return {
        path: "completions",
        body: { model, prompt: input.prompt, ...suffix, ...rest, ...chances, ...STREAMED },
      };
    }
    case "chat":
      return { path: "chat/completions", body: { model, ...chat(input), ...written(parameters), ...STREAMED } };
  }
}

const STREAMED = { stream: true, stream_options: { include_usage: true } };

function chat({ messages, tools, tool_choice, parallel_tool_calls, think }: ChatInput): Record<string, unknown> {
  return {
    messages: messages.map(message),
    ...tools === undefined ? {} : {
      tools: tools.map(({ name, description, parameters }) => {
        return { type: "function", function: { name, description, parameters: parameters ?? NOTHING } };
      }),
    },
    ...tool_choice === undefined
      ? {}
      : { tool_choice: typeof tool_choice === "string" ? tool_choice : { type: "function", function: tool_choice } },
    ...parallel_tool_calls === undefined ? {} : { parallel_tool_calls },
    // llama.cpp, vLLM and SGLang hand this to the model's template, which knows it or does not.
    ...think === undefined ? {} : { chat_template_kwargs: { enable_thinking: think } },
  };
}

const NOTHING = { type: "object", properties: {} };

function message({ role, content, reasoning, tool_calls, tool_call_id, name }: Message): Record<string, unknown> {
  return {
    role,
    content,
    ...reasoning === undefined ? {} : { reasoning_content: reasoning },
    ...tool_calls === undefined ? {} : {
      tool_calls: tool_calls.map(({ id, name, arguments: given }) => {
        return { id, type: "function", function: { name, arguments: given } };
      }),
    },
    ...tool_call_id === undefined ? {} : { tool_call_id },
    ...name === undefined ? {} : { name },
  };
}

function written(parameters: GenerationParameters): Record<string, unknown> {
  const { logit_bias, logprobs, format, lora: _, ...same } = parameters;
  return {
    ...same,
    ...logit_bias === undefined ? {} : { logit_bias: Object.fromEntries(logit_bias) },
    ...logprobs === undefined ? {} : { logprobs: true, top_logprobs: logprobs },
    ...format === undefined ? {} : formatFields(format),
  };
}

function formatFields(format: OutputFormat): Record<string, unknown> {
  if (format.kind === "grammar") return { grammar: format.grammar };
  if (format.kind === "json") return { response_format: { type: "json_object" } };
  const json_schema = { name: "answer", strict: true, schema: format.schema };
  return { response_format: { type: "json_schema", json_schema } };
}
