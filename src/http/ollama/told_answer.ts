import { ArkError, type InferenceEvent, type TokenLogprob } from "@ark/node/protocol";
import { type AnswerPiece, AnswerPieces } from "../api/answer_pieces.ts";

/** A call of a function, as Ollama writes it: its arguments are an object. */
export interface CallBody {
  /** Distinct within the conversation. */
  id: string;
  /** What is called. */
  function: { index: number; name: string; arguments: Record<string, unknown> };
}

/** What one line of an answer says. */
export interface Told {
  /** Of the answer. */
  text: string;
  /** What the model thinks before it answers. */
  thinking: string;
  /** Whole calls. */
  calls: CallBody[];
  /** How likely the text's tokens were. */
  logprobs: TokenLogprob[];
}

/** The last event of an answer. */
export type EndEvent = Extract<InferenceEvent, { type: "end" }>;

/** Says nothing. */
export function nothing(): Told {
  return { text: "", thinking: "", calls: [], logprobs: [] };
}

/**
 * An answer as Ollama tells it. A call is told when it is complete, since its arguments are an object there: when
 * something else follows it, or with the end.
 */
export class ToldAnswer {
  readonly #pieces: AnswerPieces;
  #new = nothing();
  #calls = 0;
  #text = "";
  #end: EndEvent | null = null;

  /** Begins without any text. */
  constructor() {
    this.#pieces = new AnswerPieces({
      opened: () => {},
      grew: (piece, text, logprobs) => this.#grow(piece, text, logprobs),
      closed: (piece) => this.#close(piece),
    });
  }

  /** All of the answer's text so far. */
  get text(): string {
    return this.#text;
  }

  /** How it ended, or null while it has not. */
  get end(): EndEvent | null {
    return this.#end;
  }

  /**
   * Takes the next event.
   *
   * @throws {ArkError} `engine_failed` for what cannot be told.
   */
  take(event: InferenceEvent): void {
    if (event.type === "start") return;
    if (event.type !== "end") return this.#pieces.take(event);
    this.#end = event;
    this.#pieces.close();
  }

  /** What is to be told since this was asked last, or null where that is nothing. */
  news(): Told | null {
    const { text, thinking, calls, logprobs } = this.#new;
    if (text === "" && thinking === "" && calls.length === 0 && logprobs.length === 0) return null;
    const told = this.#new;
    this.#new = nothing();
    return told;
  }

  #grow({ kind }: AnswerPiece, text: string, logprobs: readonly TokenLogprob[]): void {
    if (kind === "reasoning") this.#new.thinking += text;
    if (kind !== "text") return;
    this.#text += text;
    this.#new.text += text;
    this.#new.logprobs.push(...logprobs);
  }

  #close({ call, text }: AnswerPiece): void {
    if (call === null) return;
    const written = argumentsOf(text);
    // A call that a limit cut off is left out: the reason of the end says that something is missing.
    if (written === null && this.#end?.finish_reason === "length") return;
    if (written === null) {
      throw new ArkError(
        "engine_failed",
        "The model called a function with arguments that are no JSON object; ask again",
      );
    }
    this.#new.calls.push({ id: call.id, function: { index: this.#calls++, name: call.name, arguments: written } });
  }
}

function argumentsOf(text: string): Record<string, unknown> | null {
  if (text.trim() === "") return {};
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === "object" && read !== null && !Array.isArray(read) ? read as Record<string, unknown> : null;
  } catch {
    return null;
  }
}
