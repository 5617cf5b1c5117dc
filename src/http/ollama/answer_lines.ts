import type { FinishReason, InferenceEvent, Message, TokenChance, TokenLogprob } from "@ark/node/protocol";
import { type Piece, pieceOf } from "./answer_pieces.ts";
import { contextOf } from "./conversation.ts";

/** The last event of an answer. */
export type EndEvent = Extract<InferenceEvent, { type: "end" }>;

/** How one of the two calls writes what an answer says. */
export interface LineShape {
  /** Fields of a line that says so much. */
  said(piece: Piece): Record<string, unknown>;
  /** Fields of the last line beside those that every last line has; `said` is all of the answer. */
  last(said: string): Record<string, unknown>;
}

/** `/api/chat` */
export const CHAT_LINES: LineShape = {
  said: ({ text, thinking, calls, logprobs }) => ({
    message: {
      role: "assistant",
      content: text,
      ...thinking === "" ? {} : { thinking },
      ...calls.length === 0 ? {} : { tool_calls: calls },
    },
    ...chancesOf(logprobs),
  }),
  last: () => ({}),
};

/** `/api/generate`; `messages` is the conversation that its `context` tells, or null where it has none. */
export function generateLines(messages: readonly Message[] | null): LineShape {
  return {
    said: ({ text, thinking, calls, logprobs }) => ({
      response: text,
      ...thinking === "" ? {} : { thinking },
      ...calls.length === 0 ? {} : { tool_calls: calls },
      ...chancesOf(logprobs),
    }),
    last: (said) => {
      if (messages === null) return {};
      return { context: contextOf([...messages, { role: "assistant", content: said }]) };
    },
  };
}

/** Why an answer ended, in Ollama's words: it has none for a call. */
const REASONS: Record<FinishReason, string> = { stop: "stop", tool_calls: "stop", length: "length" };

/** Writes the bodies of one answer, whole or line by line. */
export class AnswerLines {
  readonly #shape: LineShape;
  readonly #model: string;
  readonly #began: number;

  /** Begins an answer to a question for a model, by the name that the client used; `began` is by the monotonic clock. */
  constructor(shape: LineShape, { model, began }: { model: string; began: number }) {
    this.#shape = shape;
    this.#model = model;
    this.#began = began;
  }

  /** A line in the middle. */
  part(piece: Piece): object {
    return { ...this.#head(), ...this.#shape.said(piece), done: false };
  }

  /** The last line, or all of the answer: `piece` is what it says, `all` the whole text. */
  last(piece: Piece, { end, all }: { end: EndEvent; all: string }): object {
    const { usage, timings } = end;
    return {
      ...this.#head(),
      ...this.#shape.said(piece),
      done: true,
      done_reason: REASONS[end.finish_reason],
      ...this.#shape.last(all),
      total_duration: nanoseconds(performance.now() - this.#began),
      load_duration: nanoseconds(timings.load_ms),
      prompt_eval_count: usage.prompt_tokens,
      prompt_eval_duration: nanoseconds(timings.prompt_ms),
      eval_count: usage.completion_tokens,
      eval_duration: nanoseconds(timings.generation_ms),
    };
  }

  /** Answer to a question without anything to say: the model was loaded or unloaded. */
  idle(reason: "load" | "unload"): object {
    return { ...this.#head(), ...this.#shape.said(pieceOf({})), done: true, done_reason: reason };
  }

  #head(): { model: string; created_at: string } {
    return { model: this.#model, created_at: new Date().toISOString() };
  }
}

/** Milliseconds in whole nanoseconds, at least one: clients divide by them. */
export function nanoseconds(ms: number): number {
  return Math.max(1, Math.round(ms * 1e6));
}

function chancesOf(logprobs: readonly TokenLogprob[]): { logprobs?: object[] } {
  if (logprobs.length === 0) return {};
  return {
    logprobs: logprobs.map(({ top, ...chance }) => ({
      ...chanceOf(chance),
      ...top.length === 0 ? {} : { top_logprobs: top.map(chanceOf) },
    })),
  };
}

function chanceOf({ token, logprob, bytes }: TokenChance): object {
  return { token, logprob, bytes };
}
