import {
  type ChatInput,
  decodeGenerationParameters,
  type GenerationParameters,
  type InferenceRequest,
  LIMITS,
  type Message,
} from "@ark/node/protocol";
import { objectOf, textOf } from "../api/call_fields.ts";
import { invalid, RequestFault } from "../api/request_fault.ts";
import { given, givenFlag, modelOf, namingField, type RequestFields, requestFields } from "../api/request_fields.ts";
import { type InputItem, readInput } from "./input_items.ts";
import { refuseUnsupported } from "./refused_fields.ts";
import type { KeptLookup } from "./kept_lookup.ts";
import type { KeptResponse } from "./response_shelf.ts";
import { readTools } from "./response_tools.ts";
import { readText } from "./text_format.ts";

/** What a response says again of its request, in OpenAI's fields. */
export type ResponseEcho = Readonly<Record<string, unknown>>;

/** What a client asks, and how the answer is to be sent and kept. Only the first part leaves the adapter. */
export interface ResponseQuestion {
  /** What is asked. */
  request: InferenceRequest;
  /** As events, and not in one piece. */
  stream: boolean;
  /** Whether the answer is kept for later requests. */
  store: boolean;
  /** Whether the question must stay on this machine because the answer that it goes on from did. */
  localOnly: boolean;
  /** Whether thoughts are told as their own summary, because the client asks for one. */
  summary: boolean;
  /** Items of this request's own input. */
  items: InputItem[];
  /** The conversation up to the answer, without the instructions. */
  messages: Message[];
  /** What the response says again. */
  echo: ResponseEcho;
}

/**
 * What an engine does where a request says nothing, which a response has to tell as a number. An engine elsewhere, or a
 * model that brings its own, may differ.
 */
const USUAL = { temperature: 0.8, top_p: 0.95, presence_penalty: 0, frequency_penalty: 0 };

/** Parameters under their own names; the last ones are not OpenAI's. */
const PLAIN = [
  "temperature",
  "top_p",
  "presence_penalty",
  "frequency_penalty",
  "top_k",
  "min_p",
  "repeat_penalty",
  "seed",
] as const;

const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const SUMMARIES = ["auto", "concise", "detailed"];
const WITH_LOGPROBS = "message.output_text.logprobs";
const MOST_METADATA = 16;

/**
 * Reads the body of `POST /v1/responses`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function responseQuestion(body: unknown, kept: KeptLookup): ResponseQuestion {
  const fields = requestFields(body);
  const model = modelOf(fields);
  refuseUnsupported(fields);
  const before = previousOf(fields, kept)?.messages ?? [];
  const { items, messages: own } = readInput(given(fields, "input"), { before, item: (id) => kept.item(id) });
  const messages = [...before, ...own];
  const instructions = given(fields, "instructions");
  const first: Message[] = instructions === undefined
    ? []
    : [{ role: "system", content: textOf(instructions, "instructions") }];
  if (first.length + messages.length > LIMITS.messages) {
    throw invalid("input", `must lead to at most ${LIMITS.messages} messages, those before it included`);
  }
  const { input: toolInput, ...tools } = readTools(fields);
  const { format, show: text } = readText(fields);
  const { think, ...reasoning } = readReasoning(fields);
  const parameters = parametersOf(fields);
  if (format !== undefined) parameters.format = format;
  const store = givenFlag({ store: given(fields, "store") ?? true }, "store");
  const input: ChatInput = { kind: "chat", messages: [...first, ...messages], ...toolInput };
  if (think !== undefined) input.think = think;
  return {
    request: { model, input, parameters },
    stream: streamOf(fields),
    store,
    localOnly: kept.localOnly,
    summary: reasoning.summary !== null,
    items,
    messages,
    echo: {
      background: false,
      instructions: instructions ?? null,
      max_output_tokens: parameters.max_tokens ?? null,
      max_tool_calls: null,
      metadata: metadataOf(fields),
      ...tools,
      previous_response_id: given(fields, "previous_response_id") ?? null,
      prompt_cache_key: null,
      reasoning,
      safety_identifier: null,
      service_tier: "default",
      store,
      temperature: parameters.temperature ?? USUAL.temperature,
      text,
      top_logprobs: parameters.logprobs ?? 0,
      top_p: parameters.top_p ?? USUAL.top_p,
      presence_penalty: parameters.presence_penalty ?? USUAL.presence_penalty,
      frequency_penalty: parameters.frequency_penalty ?? USUAL.frequency_penalty,
      truncation: truncationOf(fields),
      user: null,
    },
  };
}

function previousOf(fields: RequestFields, kept: KeptLookup): KeptResponse | undefined {
  const id = given(fields, "previous_response_id");
  if (id === undefined) return undefined;
  const previous = kept.response(textOf(id, "previous_response_id"));
  if (previous !== undefined) return previous;
  throw new RequestFault("previous_response_not_found", {
    param: "previous_response_id",
    message: "The previous response is not kept here: this node keeps answers in memory for a day, those of each key " +
      "for that key alone. Send the whole conversation as input",
  });
}

function parametersOf(fields: RequestFields): GenerationParameters {
  const parameters: GenerationParameters = {};
  const add = (name: keyof GenerationParameters, value: unknown, shown: string = name) => {
    if (value === undefined) return;
    Object.assign(parameters, namingField(shown, () => decodeGenerationParameters({ [name]: value })));
  };
  for (const name of PLAIN) add(name, given(fields, name));
  add("max_tokens", given(fields, "max_output_tokens"), "max_output_tokens");
  const top = given(fields, "top_logprobs");
  const include = given(fields, "include") ?? [];
  if (!Array.isArray(include) || include.some((each) => typeof each !== "string")) {
    throw invalid("include", "must be a list of texts");
  }
  // Checked in any case; told only where asked.
  if (top !== undefined) namingField("top_logprobs", () => decodeGenerationParameters({ logprobs: top }));
  if (include.includes(WITH_LOGPROBS)) add("logprobs", top ?? 0, "top_logprobs");
  return parameters;
}

interface ReadReasoning {
  think: boolean | undefined;
  effort: unknown;
  summary: unknown;
}

function readReasoning(fields: RequestFields): ReadReasoning {
  const value = given(fields, "reasoning");
  const reasoning = value === undefined ? {} : objectOf(value, "reasoning");
  const effort = given(reasoning, "effort") ?? null;
  if (effort !== null && !EFFORTS.includes(String(effort))) {
    throw invalid("reasoning.effort", `must be one of ${EFFORTS.join(", ")}`);
  }
  const summary = given(reasoning, "summary") ?? given(reasoning, "generate_summary") ?? null;
  if (summary !== null && !SUMMARIES.includes(String(summary))) {
    throw invalid("reasoning.summary", `must be one of ${SUMMARIES.join(", ")}`);
  }
  return { think: effort === null ? undefined : effort !== "none", effort, summary };
}

function streamOf(fields: RequestFields): boolean {
  const stream = givenFlag(fields, "stream");
  const options = given(fields, "stream_options");
  if (options === undefined) return stream;
  if (!stream) throw invalid("stream_options", "is only allowed together with stream: true");
  givenFlag(objectOf(options, "stream_options"), "include_obfuscation", "stream_options.include_obfuscation");
  return stream;
}

/** With `auto`, OpenAI leaves out what does not fit. Here that is an error in any case, so nothing is lost in silence. */
function truncationOf(fields: RequestFields): "disabled" {
  const value = given(fields, "truncation") ?? "disabled";
  if (value !== "auto" && value !== "disabled") throw invalid("truncation", "must be auto or disabled");
  return "disabled";
}

function metadataOf(fields: RequestFields): Record<string, string> {
  const entries = Object.entries(objectOf(given(fields, "metadata") ?? {}, "metadata"));
  if (entries.length > MOST_METADATA) throw invalid("metadata", `must have at most ${MOST_METADATA} entries`);
  const metadata: [string, string][] = entries.map(([name, value]) => {
    if (name.length > 64) throw invalid("metadata", "must have names of at most 64 characters");
    if (typeof value === "string" && value.length <= 512) return [name, value];
    throw invalid("metadata", "must have texts of at most 512 characters");
  });
  return Object.fromEntries(metadata);
}
