import type { ChatInput, GenerationParameters, InferenceRequest } from "@ark/node/protocol";
import { checkedRequest } from "../api/checked_request.ts";
import { invalid } from "../api/request_fault.ts";
import { given, givenFlag, modelOf, type RequestFields, requestFields } from "../api/request_fields.ts";
import type { AnswerShape } from "./answer_shape.ts";
import { chatMessages } from "./chat_messages.ts";
import { chatShape } from "./chat_shape.ts";
import { chatTools } from "./chat_tools.ts";
import {
  choiceCount,
  generationParameters,
  parametersOfChoice,
  type StreamFields,
  streamFields,
} from "./generation_fields.ts";
import { CHAT_REFUSALS, refuseUnsupported } from "./refused_fields.ts";
import { thinkOf } from "./thinking.ts";

/** What a client asks, and how the answer is to be sent. Only the requests leave the adapter. */
export interface Question extends StreamFields {
  /** What is asked: one request for each choice, in their order. */
  requests: InferenceRequest[];
  /** How many choices in a row have the same prompt. */
  perPrompt: number;
  /** How the answer is written. */
  shape: AnswerShape;
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
  const tools = chatTools(fields);
  const input: ChatInput = { kind: "chat", messages: chatMessages(given(fields, "messages")), ...tools.input };
  const think = thinkOf(fields);
  if (think !== undefined) input.think = think;
  const logprobs = chatLogprobs(fields);
  const parameters = { ...generationParameters(fields), ...logprobs };
  const request = checkedRequest({ model, input, parameters }, (field) => field);
  const perPrompt = choiceCount(fields);
  return {
    requests: choicesOf(request, perPrompt),
    perPrompt,
    shape: chatShape({ logprobs: logprobs.logprobs !== undefined, legacy: tools.legacy }),
    ...streamFields(fields),
  };
}

/** So many requests for the same, with seeds that follow each other. */
export function choicesOf(request: InferenceRequest, count: number): InferenceRequest[] {
  return Array.from({ length: count }, (_, index) => {
    return { ...request, parameters: parametersOfChoice(request.parameters, index) };
  });
}

function chatLogprobs(fields: RequestFields): Pick<GenerationParameters, "logprobs"> {
  const most = given(fields, "top_logprobs");
  if (most !== undefined && !(typeof most === "number" && Number.isInteger(most) && most >= 0 && most <= 20)) {
    throw invalid("top_logprobs", "must be a whole number from 0 to 20");
  }
  if (givenFlag(fields, "logprobs")) return { logprobs: most ?? 0 };
  if (most !== undefined && most > 0) throw invalid("top_logprobs", "is only allowed together with logprobs: true");
  return {};
}
