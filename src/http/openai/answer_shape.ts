import type { FinishReason, Usage } from "@ark/node/protocol";

/** What all chunks of an answer have in common. */
export interface AnswerHead {
  /** Id of the answer. */
  id: string;
  /** When it was made, in seconds since 1970. */
  created: number;
  /** Which model answers, as the node that answers calls it. */
  model: string;
}

/** How one of the two APIs writes an answer. */
export interface AnswerShape {
  /** Begin of an answer's id. */
  readonly idPrefix: string;
  /** `object` of an answer in one piece. */
  readonly object: string;
  /** `object` of a chunk. */
  readonly chunkObject: string;
  /** Choice of an answer in one piece. */
  wholeChoice(text: string, reason: FinishReason): object;
  /** Choice of the first chunk, before any text; null where there is none. */
  openingChoice(): object | null;
  /** Choice of a chunk with text. */
  textChoice(text: string): object;
  /** Choice of the chunk that says why the answer ended. */
  finishChoice(reason: FinishReason): object;
}

/** `/v1/chat/completions` */
export const CHAT_SHAPE: AnswerShape = {
  idPrefix: "chatcmpl-",
  object: "chat.completion",
  chunkObject: "chat.completion.chunk",
  wholeChoice: (content, finish_reason) => {
    return { index: 0, message: { role: "assistant", content, refusal: null }, logprobs: null, finish_reason };
  },
  openingChoice: () => chatChoice({ role: "assistant", content: "" }, null),
  textChoice: (content) => chatChoice({ content }, null),
  finishChoice: (reason) => chatChoice({}, reason),
};

/** `/v1/completions` */
export const COMPLETION_SHAPE: AnswerShape = {
  idPrefix: "cmpl-",
  object: "text_completion",
  chunkObject: "text_completion",
  wholeChoice: completionChoice,
  openingChoice: () => null,
  textChoice: (text) => completionChoice(text, null),
  finishChoice: (reason) => completionChoice("", reason),
};

function chatChoice(delta: object, finish_reason: FinishReason | null): object {
  return { index: 0, delta, logprobs: null, finish_reason };
}

function completionChoice(text: string, finish_reason: FinishReason | null): object {
  return { index: 0, text, logprobs: null, finish_reason };
}

/** What an answer cost, in OpenAI's fields. */
export function usageBody({ prompt_tokens, completion_tokens }: Usage): object {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}
