import {
  type ChatInput,
  decodeGenerationParameters,
  type GenerationParameters,
  type InferenceRequest,
  type OutputFormat,
} from "@ark/node/protocol";
import { isObject, objectOf, schemaOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, modelOf, namingField, type RequestFields, requestFields } from "../api/request_fields.ts";
import { ThreadError } from "./error_answer.ts";
import { chatMessages, systemMessages } from "./message_blocks.ts";
import { readTools } from "./message_tools.ts";

/** What a client asks, and how the answer is to be sent. Only the first part leaves the adapter. */
export interface MessageQuestion {
  /** What is asked. */
  request: InferenceRequest;
  /** As events, and not in one piece. */
  stream: boolean;
}

/** Parameters under their own names; the last ones are not Anthropic's. */
const PLAIN = ["temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed"] as const;

/** What would change the answer and cannot be done here, and what is said then. */
const REFUSED: Readonly<Record<string, string>> = {
  container: "must be absent: this node runs no code",
  compaction: "must be absent: this node does not sum up a conversation by itself",
  mcp_servers: "must be absent or empty: this node calls no servers, your program does",
};

/**
 * Reads the body of `POST /v1/messages`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function messageQuestion(body: unknown): MessageQuestion {
  const fields = requestFields(body);
  const { request } = countQuestion(fields);
  const parameters: GenerationParameters = {};
  const add = (name: keyof GenerationParameters, value: unknown, shown: string = name) => {
    if (value === undefined) return;
    Object.assign(parameters, namingField(shown, () => decodeGenerationParameters({ [name]: value })));
  };
  const max_tokens = given(fields, "max_tokens");
  if (max_tokens === undefined) throw invalid("max_tokens", "must be given: most tokens of the answer");
  add("max_tokens", max_tokens);
  for (const name of PLAIN) add(name, given(fields, name));
  add("stop", given(fields, "stop_sequences"), "stop_sequences");
  const format = formatOf(fields);
  if (format !== undefined) parameters.format = format;
  return { request: { ...request, parameters }, stream: givenFlag(fields, "stream") };
}

/**
 * Reads the body of `POST /v1/messages/count_tokens`: all that makes the prompt, and nothing of how the answer is written.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function countQuestion(body: unknown): MessageQuestion {
  const fields = requestFields(body);
  const model = modelOf(fields);
  for (const [name, rule] of Object.entries(REFUSED)) {
    const value = given(fields, name);
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) throw unsupported(name, rule);
  }
  if (given(fields, "thread") !== undefined) throw new ThreadError();
  const messages = chatMessages(given(fields, "messages"), systemMessages(given(fields, "system")));
  const input: ChatInput = { kind: "chat", messages, ...readTools(fields) };
  const think = thinkOf(fields);
  if (think !== undefined) input.think = think;
  const metadata = given(fields, "metadata");
  if (metadata !== undefined) objectOf(metadata, "metadata");
  return { request: { model, input, parameters: {} }, stream: false };
}

/** Whether the model is to think. How long it may is for `max_tokens` alone to say. */
function thinkOf(fields: RequestFields): boolean | undefined {
  const value = given(fields, "thinking");
  if (value === undefined) return undefined;
  const thinking = objectOf(value, "thinking");
  switch (given(thinking, "type")) {
    case "enabled": {
      const budget = given(thinking, "budget_tokens");
      if (Number.isInteger(budget) && Number(budget) > 0) return true;
      throw invalid("thinking.budget_tokens", "must be a whole number above 0");
    }
    case "disabled":
      return false;
    case "adaptive":
    case "between_tools":
      return undefined;
  }
  throw invalid("thinking.type", "must be enabled, disabled, adaptive or between_tools");
}

/** What the answer must look like: `output_config.format`, or `output_format`, its old name. */
function formatOf(fields: RequestFields): OutputFormat | undefined {
  const config = given(fields, "output_config");
  if (config !== undefined && !isObject(config)) throw invalid("output_config", "must be an object");
  const [at, value] = config !== undefined && given(config, "format") !== undefined
    ? ["output_config.format", given(config, "format")]
    : ["output_format", given(fields, "output_format")];
  if (value === undefined) return undefined;
  const format = objectOf(value, at);
  if (given(format, "type") !== "json_schema") throw invalid(`${at}.type`, "must be json_schema");
  return { kind: "json_schema", schema: schemaOf(given(format, "schema"), `${at}.schema`) };
}
