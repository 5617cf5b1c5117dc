import {
  ArkError,
  decodeGenerationParameters,
  decodeModelRef,
  type InferenceInput,
  type InferenceRequest,
  LIMITS,
  type Message,
} from "@ark/node/protocol";
import { FieldError } from "./openai_error.ts";

/** What a client of OpenAI's API wants. */
export interface OpenAiRequest {
  /** The question, rebuilt from known fields: nothing else of the body goes any further. */
  request: InferenceRequest;
  /** Whether the answer is to be streamed. */
  stream: boolean;
  /** Whether a streamed answer ends with its usage. */
  includeUsage: boolean;
}

type Fields = Record<string, unknown>;

/** Fields whose value is passed on under the same name. */
const PASSED = [
  "temperature",
  "top_p",
  "top_k",
  "min_p",
  "frequency_penalty",
  "presence_penalty",
  "repeat_penalty",
] as const;

/**
 * Reads the body of `POST /v1/chat/completions`.
 *
 * @throws {ArkError | FieldError} with one sentence about what is wrong.
 */
export function readChat(body: unknown): OpenAiRequest {
  const fields = fieldsOf(body);
  refuseUnsupported(fields);
  const { messages } = fields;
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new FieldError("messages", "Field messages must be a non-empty list");
  }
  if (messages.length > LIMITS.messages) {
    throw new FieldError("messages", `Field messages must have at most ${LIMITS.messages} entries`);
  }
  return whole(fields, { kind: "chat", messages: messages.map(readMessage) });
}

/**
 * Reads the body of `POST /v1/completions`.
 *
 * @throws {ArkError | FieldError} with one sentence about what is wrong.
 */
export function readCompletion(body: unknown): OpenAiRequest {
  const fields = fieldsOf(body);
  refuseUnsupported(fields);
  const given = fields.prompt;
  const prompt = Array.isArray(given) && given.length === 1 ? given[0] : given;
  if (typeof prompt !== "string") {
    throw new FieldError("prompt", "Field prompt must be a text; lists of several texts and of tokens are not supported");
  }
  return whole(fields, { kind: "completion", prompt });
}

function fieldsOf(body: unknown): Fields {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new ArkError("bad_request", "The request must be a JSON object");
  }
  return body as Fields;
}

function whole(fields: Fields, input: InferenceInput): OpenAiRequest {
  const stream = flag(fields, "stream");
  const options = fields.stream_options ?? null;
  if (options !== null && (typeof options !== "object" || !stream)) {
    throw new FieldError("stream_options", "Field stream_options is an object, and only allowed with stream: true");
  }
  return {
    request: { model: model(fields), input, parameters: decodeGenerationParameters(parameters(fields)) },
    stream,
    includeUsage: options !== null && flag(options as Fields, "include_usage"),
  };
}

function model(fields: Fields): string {
  try {
    return decodeModelRef(fields.model);
  } catch (error) {
    throw new FieldError("model", (error as Error).message);
  }
}

function parameters(fields: Fields): Fields {
  const found: Fields = {};
  for (const name of PASSED) if (fields[name] != null) found[name] = fields[name];
  const most = fields.max_completion_tokens ?? fields.max_tokens;
  if (most != null) found.max_tokens = most;
  // OpenAI's seeds have 64 bits, the engine's 32.
  if (fields.seed != null) found.seed = Number.isInteger(fields.seed) ? Number(fields.seed) % 2 ** 31 : fields.seed;
  if (fields.stop != null) found.stop = typeof fields.stop === "string" ? [fields.stop] : fields.stop;
  if (Array.isArray(found.stop)) found.stop = found.stop.filter((text) => text !== "");
  return found;
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== "boolean") throw new FieldError(name, `Field ${name} must be true or false`);
  return value;
}

/** Refuses what would change the answer and cannot be done. What does not change it is left aside. */
function refuseUnsupported(fields: Fields): void {
  const refuse = (name: string, sentence: string) => {
    throw new FieldError(name, sentence);
  };
  const list = (name: string) => Array.isArray(fields[name]) && fields[name].length > 0;
  if (list("tools")) refuse("tools", "Tools are not supported yet: leave out the field tools");
  if (list("functions")) refuse("functions", "Functions are not supported yet: leave out the field functions");
  for (const name of ["n", "best_of"]) {
    if ((fields[name] ?? 1) !== 1) refuse(name, `Only one answer per request is supported: leave out the field ${name}`);
  }
  if (fields.logprobs != null && fields.logprobs !== false) {
    refuse("logprobs", "Log probabilities are not supported yet: leave out the field logprobs");
  }
  const format = (fields.response_format as Fields | null | undefined)?.type ?? "text";
  if (format !== "text") refuse("response_format", "Only response_format text is supported yet: ask for JSON in the prompt");
  const bias = fields.logit_bias;
  if (typeof bias === "object" && bias !== null && Object.keys(bias).length > 0) {
    refuse("logit_bias", "Logit bias is not supported yet: leave out the field logit_bias");
  }
  if (fields.suffix != null && fields.suffix !== "") refuse("suffix", "Field suffix is not supported yet: leave it out");
  if (fields.echo === true) refuse("echo", "Field echo is not supported yet: leave it out");
  const modalities = fields.modalities;
  if (Array.isArray(modalities) && modalities.some((one) => one !== "text")) {
    refuse("modalities", "Only text is supported: leave out the field modalities");
  }
}

function readMessage(value: unknown, index: number): Message {
  const param = `messages[${index}]`;
  if (typeof value !== "object" || value === null) throw new FieldError(param, `Field ${param} must be an object`);
  const { role, content, tool_calls } = value as Fields;
  if (role === "tool" || role === "function" || (Array.isArray(tool_calls) && tool_calls.length > 0)) {
    throw new FieldError(param, `Field ${param} is about a tool, and tools are not supported yet`);
  }
  const known = role === "developer" ? "system" : role;
  if (known !== "system" && known !== "user" && known !== "assistant") {
    throw new FieldError(`${param}.role`, `Field ${param}.role must be system, developer, user or assistant`);
  }
  return { role: known, content: readContent(content, { param: `${param}.content`, role: known }) };
}

function readContent(content: unknown, { param, role }: { param: string; role: string }): string {
  if (typeof content === "string") return content;
  if (content === null || content === undefined) {
    if (role === "assistant") return "";
    throw new FieldError(param, `Field ${param} must be a text`);
  }
  if (!Array.isArray(content)) throw new FieldError(param, `Field ${param} must be a text or a list of parts`);
  return content.map((part) => {
    const { type, text } = (part ?? {}) as Fields;
    if (type === "text" && typeof text === "string") return text;
    throw new FieldError(param, `Field ${param} may only have parts of type text: images, sounds and files are not supported yet`);
  }).join("");
}
