import type { ChatInput, CompletionInput, InferenceRequest, Message, ModelRef } from "@ark/node/protocol";
import { checkedRequest } from "../api/checked_request.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, modelOf, type RequestFields, requestFields } from "../api/request_fields.ts";
import { CHAT_LINES, generateLines, type LineShape } from "./answer_lines.ts";
import { chatMessages, chatTools, noImages } from "./chat_messages.ts";
import { conversationOf } from "./conversation.ts";
import { keepAliveMs } from "./keep_alive.ts";
import { answerFields, modelOptions, streamField, thinkField } from "./model_options.ts";

/** What a client asks, and how the answer is to be sent. Only `request` ever leaves the adapter. */
export interface Question {
  /** Which model, by the name that the client used. */
  model: ModelRef;
  /** What is asked, or null where the model is only to be loaded or unloaded. */
  request: InferenceRequest | null;
  /** Writes the answer. */
  shape: LineShape;
  /** In lines, and not in one piece. */
  stream: boolean;
  /** How long the model is to stay in memory; undefined is as the node does by itself. */
  keepAliveMs: number | null | undefined;
}

/**
 * Reads the body of `POST /api/chat`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function chatQuestion(body: unknown): Question {
  const fields = requestFields(body);
  const shared = sharedFields(fields);
  const messages = chatMessages(given(fields, "messages") ?? []);
  const tools = chatTools(given(fields, "tools"));
  const think = thinkField(fields);
  const input: ChatInput = {
    kind: "chat",
    messages,
    ...tools === undefined ? {} : { tools },
    ...think === undefined ? {} : { think },
  };
  return {
    ...shared,
    shape: CHAT_LINES,
    request: messages.length === 0 ? null : requestOf(fields, shared.model, input),
  };
}

/**
 * Reads the body of `POST /api/generate`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function generateQuestion(body: unknown): Question {
  const fields = requestFields(body);
  const shared = sharedFields(fields);
  noImages(fields);
  const prompt = textOf(fields, "prompt");
  const suffix = textOf(fields, "suffix");
  const system = textOf(fields, "system");
  const earlier = conversationOf(given(fields, "context") ?? []);
  const raw = givenFlag(fields, "raw");
  if (textOf(fields, "template") !== "") {
    throw unsupported(
      "template",
      "must be absent or empty: use the model's own, or send the whole prompt with raw: true",
    );
  }
  if (raw && (system !== "" || earlier.length > 0)) {
    throw invalid("raw", "must be false where there is a system message or a context: a raw prompt is taken as it is");
  }
  const think = thinkField(fields);
  const conversation = raw || suffix !== "" ? null : turnsOf({ system, earlier, prompt });
  const input: ChatInput | CompletionInput = conversation === null
    ? { kind: "completion", prompt, ...suffix === "" ? {} : { suffix } }
    : { kind: "chat", messages: conversation, ...think === undefined ? {} : { think } };
  const request = requestOf(fields, shared.model, input);
  return { ...shared, shape: generateLines(conversation), request: prompt === "" && suffix === "" ? null : request };
}

/** A conversation gone on with; a system message counts for all of it. */
function turnsOf({ system, earlier, prompt }: { system: string; earlier: Message[]; prompt: string }): Message[] {
  const turns = system === "" ? earlier : earlier.filter(({ role }) => role !== "system");
  const before: Message[] = system === "" ? [] : [{ role: "system", content: system }];
  return [...before, ...turns, { role: "user", content: prompt }];
}

function sharedFields(fields: RequestFields): Pick<Question, "model" | "stream" | "keepAliveMs"> {
  return {
    model: modelOf(fields),
    stream: streamField(fields),
    keepAliveMs: keepAliveMs(given(fields, "keep_alive")),
  };
}

function requestOf(fields: RequestFields, model: ModelRef, input: ChatInput | CompletionInput): InferenceRequest {
  const parameters = { ...modelOptions(fields), ...answerFields(fields) };
  return checkedRequest({ model, input, parameters }, shownField);
}

/** What Ollama calls a field of a request. */
function shownField(field: string): string {
  const tool = /^(tools\[\d+\])(\..+)$/.exec(field);
  if (tool !== null) return `${tool[1]}.function${tool[2]}`;
  const call = /^(messages\[\d+\]\.tool_calls\[\d+\])\.(name|arguments)$/.exec(field);
  return call !== null ? `${call[1]}.function.${call[2]}` : field.replace(/\.reasoning$/, ".thinking");
}

function textOf(fields: RequestFields, name: string): string {
  const value = given(fields, name) ?? "";
  if (typeof value !== "string") throw invalid(name, "must be a text");
  return value;
}
