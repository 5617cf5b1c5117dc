import { ArkError, type InferenceEvent, type Usage } from "@ark/node/protocol";
import type { AnswerPiece } from "../api/answer_pieces.ts";

/** How an answer ends. */
export type AnswerEnd = Extract<InferenceEvent, { type: "end" }>;

/** Why an answer ended, in Anthropic's words. */
export type StopReason = "end_turn" | "max_tokens" | "stop_sequence" | "tool_use";

/** Why an answer ended. */
export interface Stopped {
  /** Null while it has not. */
  stop_reason: StopReason | null;
  /** The client's stop text that ended it, or null. */
  stop_sequence: string | null;
}

/**
 * What stands where Anthropic signs what its model thought. Nothing here is signed and nothing is checked: thoughts that a
 * client sends back are text like any other.
 */
export const SIGNATURE = "unsigned";

/** A message in Anthropic's shape. */
export function messageBody(
  { id, model }: { id: string; model: string },
  { content, usage, ...stopped }: Stopped & { content: readonly object[]; usage: object },
): object {
  const nothing = { stop_details: null, container: null, diagnostics: null };
  return { id, type: "message", role: "assistant", model, content, ...stopped, ...nothing, usage };
}

/** Why an answer ended. A stop text of the model's own template is its usual end. */
export function stopped({ finish_reason, stop_text }: AnswerEnd, asked: readonly string[]): Stopped {
  if (finish_reason === "length") return { stop_reason: "max_tokens", stop_sequence: null };
  if (finish_reason === "tool_calls") return { stop_reason: "tool_use", stop_sequence: null };
  if (stop_text === undefined || !asked.includes(stop_text)) return { stop_reason: "end_turn", stop_sequence: null };
  return { stop_reason: "stop_sequence", stop_sequence: stop_text };
}

/** The block that shows a piece as it begins. */
export function blockBegin({ kind, call }: AnswerPiece): object {
  switch (kind) {
    case "text":
      return { type: "text", text: "" };
    case "reasoning":
      return { type: "thinking", thinking: "", signature: "" };
    case "call":
      return { type: "tool_use", id: call?.id ?? "", name: call?.name ?? "", input: {}, caller: { type: "direct" } };
  }
}

/**
 * The block that shows a piece. `cut` where a limit of tokens ended the answer in it: of arguments that are not whole there
 * is nothing to show.
 *
 * @throws {ArkError} `engine_failed` where the arguments of a call are no JSON object.
 */
export function block(piece: AnswerPiece, { cut }: { cut: boolean }): object {
  const begin = blockBegin(piece);
  switch (piece.kind) {
    case "text":
      return { ...begin, text: piece.text };
    case "reasoning":
      return { ...begin, thinking: piece.text, signature: SIGNATURE };
    case "call":
      return { ...begin, input: inputOf(piece.text, { cut }) };
  }
}

function inputOf(text: string, { cut }: { cut: boolean }): object {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // What is wrong with it is said below.
  }
  if (cut) return {};
  throw new ArkError("engine_failed", "The model called a function with arguments that are no JSON object; ask again");
}

/** What a message cost, in Anthropic's fields: what was read again is not among `input_tokens`. */
export function usageBody({ prompt_tokens, completion_tokens, cached_tokens = 0 }: Usage, thinking: number): object {
  return {
    ...costBody({ prompt_tokens, completion_tokens, cached_tokens }, thinking),
    cache_creation: null,
    inference_geo: null,
    service_tier: null,
    speed: null,
  };
}

/** What `message_delta` says of the cost. */
export function costBody({ prompt_tokens, completion_tokens, cached_tokens = 0 }: Usage, thinking: number): object {
  return {
    input_tokens: prompt_tokens - cached_tokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached_tokens,
    output_tokens: completion_tokens,
    output_tokens_details: { thinking_tokens: thinking },
    server_tool_use: null,
  };
}
