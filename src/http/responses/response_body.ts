import type { ArkError, TokenChance, TokenLogprob, Usage } from "@ark/node/protocol";
import type { AnswerPiece } from "../api/answer_pieces.ts";
import type { ResponseEcho } from "./response_question.ts";

/** How far an item or a response is. */
export type ItemStatus = "in_progress" | "completed" | "incomplete";

/** What does not change while a response is made. */
export interface ResponseHead {
  /** `resp_` and 32 hexadecimal digits. */
  id: string;
  /** When it began, in seconds since 1970. */
  created_at: number;
  /** Which model answers. */
  model: string;
  /** What it says again of its request. */
  echo: ResponseEcho;
}

/** What changes while a response is made. */
export interface ResponseState {
  /** How far it is. */
  status: ItemStatus | "failed";
  /** Its items. */
  output: readonly object[];
  /** When it was complete, in seconds since 1970, or null. */
  completed_at: number | null;
  /** Why it failed, or null. */
  error: object | null;
  /** What it cost, or null while that is not known. */
  usage: object | null;
}

/** A response in OpenAI's shape. */
export function responseBody({ id, created_at, model, echo }: ResponseHead, state: ResponseState): object {
  const { status, output, completed_at, error, usage } = state;
  return {
    id,
    object: "response",
    created_at,
    status,
    completed_at,
    error,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    model,
    output,
    usage,
    ...echo,
  };
}

const PREFIXES = { text: "msg", reasoning: "rs", call: "fc" } as const;

/** Id of the item that shows a piece: that of its response, and the place. */
export function itemId(responseId: string, { kind, index }: AnswerPiece): string {
  return `${PREFIXES[kind]}_${responseId.slice("resp_".length)}${index.toString(16).padStart(4, "0")}`;
}

/** How an item is shown. */
export interface ItemStyle {
  /** Its id. */
  id: string;
  /** How far it is. */
  status: ItemStatus;
  /** Whether thoughts are told as their own summary. */
  summary: boolean;
}

/** The item that shows a piece. */
export function outputItem(piece: AnswerPiece, { id, status, summary }: ItemStyle): object {
  const begun = piece.text !== "" || status !== "in_progress";
  const parts = begun ? [contentPart(piece, { summary })] : [];
  switch (piece.kind) {
    case "text":
      return { id, type: "message", role: "assistant", status, content: parts };
    case "reasoning": {
      const [short, long] = summary ? [parts, []] : [[], parts];
      return { id, type: "reasoning", status, summary: short, content: long };
    }
    case "call": {
      const { id: call_id = "", name = "" } = piece.call ?? {};
      return { id, type: "function_call", status, call_id, name, arguments: piece.text };
    }
  }
}

/** The one part of an item that is text. */
export function contentPart({ kind, text, logprobs }: AnswerPiece, { summary }: { summary: boolean }): object {
  if (kind === "reasoning") return { type: summary ? "summary_text" : "reasoning_text", text };
  return { type: "output_text", text, annotations: [], logprobs: logprobs.map(logprobBody) };
}

/** A token that was written, in OpenAI's fields. */
export function logprobBody({ top, ...token }: TokenLogprob): object {
  return { ...chance(token), top_logprobs: top.map(chance) };
}

function chance({ token, bytes, logprob }: TokenChance): object {
  return { token, bytes, logprob };
}

/** What a response cost, in OpenAI's fields. */
export function usageBody({ prompt_tokens, completion_tokens, cached_tokens = 0 }: Usage, reasoning: number): object {
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: { cached_tokens, cache_write_tokens: 0 },
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: prompt_tokens + completion_tokens,
  };
}

/** Why a response failed in mid-stream. OpenAI's codes are a closed set. */
export function failureBody({ code, message }: ArkError): object {
  if (code === "busy") return { code: "rate_limit_exceeded", message };
  const asked = code === "bad_request" || code === "context_exceeded" || code === "too_large";
  return { code: asked ? "invalid_prompt" : "server_error", message };
}
