import type { ArkError, FinishReason, Message, TokenChance, TokenLogprob } from "@ark/node/protocol";
import type { StreamWriter } from "../api/answer_stream.ts";
import { contextOf } from "./conversation.ts";
import { encoded, jsonLine, jsonText } from "./ndjson.ts";
import { ollamaErrorBody } from "./ollama_error.ts";
import { type EndEvent, nothing, type Told, ToldAnswer } from "./told_answer.ts";

/** How one of the two calls writes what an answer says. */
export interface LineShape {
  /** Fields of a line that says so much. */
  said(told: Told): Record<string, unknown>;
  /** Fields of the last line beside those that every last line has; `text` is all of the answer's. */
  last(text: string): Record<string, unknown>;
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
    last: (text) => {
      if (messages === null) return {};
      const context = contextOf([...messages, { role: "assistant", content: text }]);
      return context === null ? {} : { context };
    },
  };
}

/** Why an answer ended, in Ollama's words: it has none for a call. */
const REASONS: Record<FinishReason, string> = { stop: "stop", tool_calls: "stop", length: "length" };

/** Stands where the text of a line goes. */
const MARK = "\u0000";

/** Writes the bodies of one answer, whole or line by line. */
export class AnswerLines {
  readonly #shape: LineShape;
  readonly #model: string;
  readonly #began: number;
  readonly #before: string;
  readonly #between: string;
  readonly #after: string;
  #now = { ms: -1, text: "" };

  /** Begins an answer to a question for a model, by the name that the client used; `began` is by the monotonic clock. */
  constructor(shape: LineShape, { model, began }: { model: string; began: number }) {
    this.#shape = shape;
    this.#model = model;
    this.#began = began;
    // What does not change in a line of text alone is made once: such a line is written for every token.
    this.#before = `{"model":${jsonText(model)},"created_at":"`;
    const rest = JSON.stringify({ ...shape.said({ ...nothing(), text: MARK }), done: false });
    const [between = "", after = ""] = rest.split(JSON.stringify(MARK));
    this.#between = `",${between.slice(1)}`;
    this.#after = after;
  }

  /** A line in the middle. */
  part(told: Told): Uint8Array<ArrayBuffer> {
    const { text, thinking, calls, logprobs } = told;
    if (thinking !== "" || calls.length > 0 || logprobs.length > 0) {
      return jsonLine({ ...this.#head(), ...this.#shape.said(told), done: false });
    }
    return encoded(this.#before + this.#time() + this.#between + jsonText(text) + this.#after);
  }

  /** The last line, or all of the answer: `told` is what it says, `text` all of the answer's text. */
  last(told: Told, { end, text }: { end: EndEvent; text: string }): object {
    const { usage, timings } = end;
    return {
      ...this.#head(),
      ...this.#shape.said(told),
      done: true,
      done_reason: REASONS[end.finish_reason],
      ...this.#shape.last(text),
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
    return { ...this.#head(), ...this.#shape.said(nothing()), done: true, done_reason: reason };
  }

  #head(): { model: string; created_at: string } {
    return { model: this.#model, created_at: this.#time() };
  }

  #time(): string {
    const ms = Date.now();
    if (ms !== this.#now.ms) this.#now = { ms, text: new Date(ms).toISOString() };
    return this.#now.text;
  }
}

/**
 * Writes an answer line by line. The line that is done comes when the answer is complete and on the record: a client that
 * saw it reads no further.
 */
export function lineWriter(lines: AnswerLines): StreamWriter {
  const answer = new ToldAnswer();
  return {
    write(event) {
      answer.take(event);
      const news = answer.news();
      return news === null ? null : lines.part(news);
    },
    finish() {
      const { end, text } = answer;
      if (end === null) throw new TypeError("An answer is finished after its end");
      return jsonLine(lines.last(nothing(), { end, text }));
    },
    fail: (failure: ArkError) => jsonLine(ollamaErrorBody(failure)),
  };
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
