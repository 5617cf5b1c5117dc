import { isCount } from "./count.ts";
import { bad, decodeSchema, list, oneOf, record, text } from "./decode_value.ts";
import type {
  ChatInput,
  EmbedInput,
  GenerationParameters,
  InferenceInput,
  InferenceRequest,
  Message,
  MessageRole,
  ModelRef,
  OutputFormat,
  RerankInput,
  Resume,
  Tool,
  ToolCall,
  ToolChoice,
} from "./inference.ts";
import { LIMITS } from "./limits.ts";
import { decodeTokenIds, isTokenIds } from "./token_ids.ts";

const ROLES: readonly MessageRole[] = ["system", "user", "assistant", "tool"];

/** Names of functions; the point stands in those of MCP servers. */
const TOOL_NAME_REGEXP = /^[\w.-]{1,64}$/;

type NumberField = Exclude<keyof GenerationParameters, "stop" | "logit_bias" | "format" | "lora">;

/** Allowed range of each numeric parameter: [least, most, integer]. */
const NUMBERS: Record<NumberField, readonly [number, number, boolean]> = {
  max_tokens: [1, 1_000_000, true],
  temperature: [0, 2, false],
  top_p: [0, 1, false],
  top_k: [0, 1_000_000, true],
  min_p: [0, 1, false],
  typical_p: [0, 1, false],
  seed: [-0x80000000, 0xffffffff, true],
  frequency_penalty: [-2, 2, false],
  presence_penalty: [-2, 2, false],
  repeat_penalty: [1, 2, false],
  repeat_last_n: [0, 8_192, true],
  logprobs: [0, LIMITS.topLogprobs, true],
};
const NUMBER_RULES = Object.entries(NUMBERS) as [NumberField, readonly [number, number, boolean]][];
const PARAMETERS: readonly string[] = [...Object.keys(NUMBERS), "stop", "logit_bias", "format", "lora"];

/**
 * Reads an {@linkcode InferenceRequest} from any JSON value. Strict: an unknown field anywhere is refused, so nothing
 * rides along.
 *
 * @throws {ArkError} `bad_request`, with a sentence that names the field.
 */
export function decodeInferenceRequest(value: unknown): InferenceRequest {
  const fields = record(value, "request", ["model", "input", "parameters", "count_only", "ids", "resume"]);
  for (const name of ["count_only", "ids"]) {
    const given = fields[name];
    if (given !== undefined && given !== true) throw bad(`Field ${name} must be true where it is given`);
  }
  return {
    model: decodeModelRef(fields.model),
    input: decodeInput(fields.input),
    parameters: decodeGenerationParameters(fields.parameters === undefined ? {} : fields.parameters),
    ...fields.count_only === true ? { count_only: true } : {},
    ...fields.ids === true ? { ids: true } : {},
    ...fields.resume === undefined ? {} : { resume: decodeResume(fields.resume) },
  };
}

function decodeResume(value: unknown): Resume {
  const { prompt, written } = record(value, "resume", ["prompt", "written"]);
  if (!isTokenIds(prompt) || !isTokenIds(written)) {
    throw bad("Field resume must have the tokens of a prompt and an answer");
  }
  if (decodeTokenIds(prompt).length + decodeTokenIds(written).length > LIMITS.resumedTokens) {
    throw bad(`Field resume must have at most ${LIMITS.resumedTokens} tokens`);
  }
  return { prompt, written };
}

/**
 * Checks that a value can name a model: a non-empty text without control and invisible characters.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeModelRef(value: unknown): ModelRef {
  if (typeof value !== "string" || value.length === 0) throw bad("Field model must be a non-empty text");
  if (value.length > LIMITS.modelRefLength) {
    throw bad(`Field model must have at most ${LIMITS.modelRefLength} characters`);
  }
  // Invisible characters too: a model's name is shown to people, in terminals and in lists to choose from.
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(value)) throw bad("Field model must have no control characters");
  return value;
}

/**
 * Reads parameters from any JSON value. Strict: an unknown field is refused, a number out of range too.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeGenerationParameters(value: unknown): GenerationParameters {
  const fields = record(value, "parameters", PARAMETERS);
  const parameters: GenerationParameters = {};
  for (const [name, [least, most, integer]] of NUMBER_RULES) {
    const given = fields[name];
    if (given === undefined) continue;
    if (typeof given !== "number" || !Number.isFinite(given) || given < least || given > most) {
      throw bad(`Field ${name} must be a number from ${least} to ${most}`);
    }
    if (integer && !Number.isInteger(given)) throw bad(`Field ${name} must be a whole number`);
    parameters[name] = given;
  }
  if (fields.stop !== undefined) parameters.stop = decodeStop(fields.stop);
  if (fields.logit_bias !== undefined) parameters.logit_bias = decodeLogitBias(fields.logit_bias);
  if (fields.format !== undefined) parameters.format = decodeOutputFormat(fields.format);
  if (fields.lora !== undefined) parameters.lora = decodeLora(fields.lora);
  return parameters;
}

/**
 * Reads what an answer must look like.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeOutputFormat(value: unknown): OutputFormat {
  const { kind, schema, grammar } = record(value, "format", ["kind", "schema", "grammar"]);
  if (kind === "json" && schema === undefined && grammar === undefined) return { kind };
  if (kind === "json_schema" && grammar === undefined) return { kind, schema: decodeSchema(schema, "format.schema") };
  if (kind === "grammar" && schema === undefined) {
    return { kind, grammar: text(grammar, "format.grammar", { most: LIMITS.schemaLength }) };
  }
  throw bad("Field format must have the kind json, json_schema with a schema, or grammar with a grammar");
}

function decodeStop(value: unknown): string[] {
  if (!Array.isArray(value) || value.length > LIMITS.stops) {
    throw bad(`Field stop must be a list of at most ${LIMITS.stops} texts`);
  }
  for (const stop of value) {
    if (typeof stop !== "string" || stop.length === 0 || stop.length > LIMITS.stopLength) {
      throw bad(`Each text of stop must have 1 to ${LIMITS.stopLength} characters`);
    }
  }
  return [...value];
}

function decodeLogitBias(value: unknown): [number, number][] {
  return list(value, "logit_bias", { least: 0, most: LIMITS.logitBiases }).map((pair) => {
    const [token, bias, ...rest] = Array.isArray(pair) ? pair : [];
    if (rest.length > 0 || !isCount(token) || !(typeof bias === "number" && Math.abs(bias) <= 100)) {
      throw bad("Each entry of logit_bias must be a token and a number from -100 to 100");
    }
    return [token, bias];
  });
}

function decodeLora(value: unknown): { name: string; scale: number }[] {
  return list(value, "lora", { least: 0, most: LIMITS.loras }).map((entry) => {
    const { name, scale } = record(entry, "lora", ["name", "scale"]);
    if (typeof scale !== "number" || !(Math.abs(scale) <= 10)) {
      throw bad("Field lora.scale must be a number from -10 to 10");
    }
    return { name: text(name, "lora.name", { least: 1, most: LIMITS.modelRefLength }), scale };
  });
}

function decodeInput(value: unknown): InferenceInput {
  if (typeof value !== "object" || value === null) throw bad("Field input must be an object");
  switch ((value as Record<string, unknown>).kind) {
    case "completion": {
      const { prompt, suffix } = record(value, "input", ["kind", "prompt", "suffix"]);
      const read = typeof prompt === "string" ? prompt : tokens(prompt, "prompt");
      return { kind: "completion", prompt: read, ...suffix === undefined ? {} : { suffix: text(suffix, "suffix") } };
    }
    case "chat":
      return decodeChat(value);
    case "embed":
      return decodeEmbed(value);
    case "rerank":
      return decodeRerank(value);
  }
  throw bad("Field input.kind must be chat, completion, embed or rerank");
}

function decodeChat(value: object): ChatInput {
  const names = ["kind", "messages", "tools", "tool_choice", "parallel_tool_calls", "think"];
  const { messages, tools, tool_choice, parallel_tool_calls, think } = record(value, "input", names);
  const input: ChatInput = {
    kind: "chat",
    messages: list(messages, "messages", { most: LIMITS.messages }).map(decodeMessage),
  };
  if (tools !== undefined) input.tools = list(tools, "tools", { most: LIMITS.tools }).map(decodeTool);
  if (tool_choice !== undefined) input.tool_choice = decodeToolChoice(tool_choice, input.tools ?? []);
  if (parallel_tool_calls !== undefined) input.parallel_tool_calls = flag(parallel_tool_calls, "parallel_tool_calls");
  if (think !== undefined) input.think = flag(think, "think");
  return input;
}

function decodeMessage(value: unknown, index: number): Message {
  const at = `messages[${index}]`;
  const names = ["role", "content", "reasoning", "tool_calls", "tool_call_id", "name"];
  const { role, content, reasoning, tool_calls, tool_call_id, name } = record(value, at, names);
  const message: Message = { role: oneOf(role, `${at}.role`, ROLES), content: text(content, `${at}.content`) };
  if (role !== "assistant" && (reasoning !== undefined || tool_calls !== undefined)) {
    throw bad(`Field ${at} must be the assistant's where it has reasoning or tool_calls`);
  }
  if (role !== "tool" && (tool_call_id !== undefined || name !== undefined)) {
    throw bad(`Field ${at} must have the role tool where it has tool_call_id or name`);
  }
  if (reasoning !== undefined) message.reasoning = text(reasoning, `${at}.reasoning`);
  if (tool_calls !== undefined) {
    message.tool_calls = list(tool_calls, `${at}.tool_calls`, { most: LIMITS.toolCalls })
      .map((call, n) => decodeToolCall(call, `${at}.tool_calls[${n}]`));
  }
  if (tool_call_id !== undefined) message.tool_call_id = callId(tool_call_id, `${at}.tool_call_id`);
  if (name !== undefined) message.name = toolName(name, `${at}.name`);
  return message;
}

function decodeToolCall(value: unknown, at: string): ToolCall {
  const { id, name, arguments: given } = record(value, at, ["id", "name", "arguments"]);
  return { id: callId(id, `${at}.id`), name: toolName(name, `${at}.name`), arguments: text(given, `${at}.arguments`) };
}

function decodeTool(value: unknown, index: number): Tool {
  const at = `tools[${index}]`;
  const { name, description, parameters } = record(value, at, ["name", "description", "parameters"]);
  const tool: Tool = { name: toolName(name, `${at}.name`) };
  if (description !== undefined) tool.description = text(description, `${at}.description`);
  if (parameters !== undefined) tool.parameters = decodeSchema(parameters, `${at}.parameters`);
  return tool;
}

function decodeToolChoice(value: unknown, tools: readonly Tool[]): ToolChoice {
  if (value === "auto" || value === "none") return value;
  if (tools.length === 0) throw bad("Field tool_choice asks for a tool, and there are none");
  if (value === "required") return value;
  const { name } = record(value, "tool_choice", ["name"]);
  if (!tools.some((tool) => tool.name === name)) throw bad("Field tool_choice must name one of the tools");
  return { name: name as string };
}

function decodeEmbed(value: object): EmbedInput {
  const { texts } = record(value, "input", ["kind", "texts"]);
  const read = list(texts, "texts", { most: LIMITS.embedTexts })
    .map((each, index) => typeof each === "string" ? each : tokens(each, `texts[${index}]`));
  return { kind: "embed", texts: read };
}

function decodeRerank(value: object): RerankInput {
  const { query, documents } = record(value, "input", ["kind", "query", "documents"]);
  const read = list(documents, "documents", { most: LIMITS.rerankDocuments })
    .map((each, index) => text(each, `documents[${index}]`));
  return { kind: "rerank", query: text(query, "query"), documents: read };
}

function tokens(value: unknown, at: string): number[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every((token) => isCount(token) && token < 2 ** 31)) {
    throw bad(`Field ${at} must be a text or a non-empty list of tokens`);
  }
  return [...value];
}

function toolName(value: unknown, at: string): string {
  if (typeof value === "string" && TOOL_NAME_REGEXP.test(value)) return value;
  throw bad(`Field ${at} must be 1 to 64 letters, digits, underscores, dashes or points`);
}

function callId(value: unknown, at: string): string {
  if (typeof value === "string" && /^[\x21-\x7e]{1,64}$/.test(value)) return value;
  throw bad(`Field ${at} must be 1 to 64 printable characters without spaces`);
}

function flag(value: unknown, at: string): boolean {
  if (typeof value !== "boolean") throw bad(`Field ${at} must be true or false`);
  return value;
}
