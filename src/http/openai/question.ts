import type { InferenceRequest } from "@ark/node/protocol";
import { chatMessages } from "./chat_messages.ts";
import { generationParameters, type StreamFields, streamFields } from "./generation_fields.ts";
import { CHAT_REFUSALS, COMPLETION_REFUSALS, refuseUnsupported } from "./refused_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, modelOf, requestFields } from "../api/request_fields.ts";

/** What a client asks, and how the answer is to be sent. Only the first part leaves the adapter. */
export interface Question extends StreamFields {
  /** What is asked. */
  request: InferenceRequest;
}

/**
 * Reads the body of `POST /v1/chat/completions`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function chatQuestion(body: unknown): Question {
  const fields = requestFields(body);
  const model = modelOf(fields);
  refuseUnsupported(fields, CHAT_REFUSALS);
  const messages = chatMessages(given(fields, "messages"));
  const parameters = generationParameters(fields);
  return { request: { model, input: { kind: "chat", messages }, parameters }, ...streamFields(fields) };
}

/**
 * Reads the body of `POST /v1/completions`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function completionQuestion(body: unknown): Question {
  const fields = requestFields(body);
  const model = modelOf(fields);
  refuseUnsupported(fields, COMPLETION_REFUSALS);
  const prompt = promptOf(given(fields, "prompt"));
  const parameters = generationParameters(fields);
  return { request: { model, input: { kind: "completion", prompt }, parameters }, ...streamFields(fields) };
}

function promptOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value) || value.length === 0) throw invalid("prompt", "must be a text");
  const [only] = value;
  if (typeof only === "string" && value.length === 1) return only;
  throw unsupported("prompt", "must be one text: this node takes neither several prompts nor tokens yet");
}
