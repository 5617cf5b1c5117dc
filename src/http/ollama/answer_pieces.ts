import { type AnswerPart, ArkError, type FinishReason, type TokenLogprob } from "@ark/node/protocol";

/** A call of a function, as Ollama writes it: its arguments are an object. */
export interface CallBody {
  /** Distinct within the answer. */
  id: string;
  /** What is called. */
  function: { index: number; name: string; arguments: Record<string, unknown> };
}

/** What one line of an answer says. */
export interface Piece {
  /** Of the answer. */
  text: string;
  /** What the model thinks before it answers. */
  thinking: string;
  /** Whole calls. */
  calls: CallBody[];
  /** How likely the text's tokens were. */
  logprobs: readonly TokenLogprob[];
}

interface OpenCall {
  index: number;
  id: string;
  name: string;
  written: string;
}

/**
 * Sorts the parts of an answer into what Ollama's lines say. A call is told when it is complete, since its arguments are an
 * object there: with the next call, or with the end.
 */
export class AnswerPieces {
  #open: OpenCall | null = null;

  /**
   * What a part adds; null where it is nothing to tell yet.
   *
   * @throws {ArkError} `engine_failed` where the model called a function in a way that cannot be told.
   */
  push(part: AnswerPart): Piece | null {
    switch (part.type) {
      case "text": {
        const { text, logprobs = [] } = part;
        return text === "" && logprobs.length === 0 ? null : pieceOf({ text, logprobs });
      }
      case "reasoning":
        return part.text === "" ? null : pieceOf({ thinking: part.text });
      case "tool_call": {
        const calls = this.#close();
        this.#open = { index: part.index, id: part.id, name: part.name, written: "" };
        return calls.length === 0 ? null : pieceOf({ calls });
      }
      case "tool_arguments":
        if (this.#open?.index !== part.index) throw unreadable();
        this.#open.written += part.text;
        return null;
      case "vector":
      case "score":
        return null;
    }
  }

  /**
   * What is left when the answer has ended. A call that a limit of tokens cut off is left out: the reason of the end says
   * that something is missing.
   *
   * @throws {ArkError} `engine_failed`
   */
  end(reason: FinishReason): Piece | null {
    if (reason === "length" && this.#open !== null && argumentsOf(this.#open.written) === null) return null;
    const calls = this.#close();
    return calls.length === 0 ? null : pieceOf({ calls });
  }

  #close(): CallBody[] {
    const open = this.#open;
    if (open === null) return [];
    this.#open = null;
    const { index, id, name, written } = open;
    const read = argumentsOf(written);
    if (read === null) throw unreadable();
    return [{ id, function: { index, name, arguments: read } }];
  }
}

/** A piece that says so much and nothing else. */
export function pieceOf(said: Partial<Piece>): Piece {
  return { text: "", thinking: "", calls: [], logprobs: [], ...said };
}

function argumentsOf(written: string): Record<string, unknown> | null {
  if (written.trim() === "") return {};
  try {
    const read: unknown = JSON.parse(written);
    return typeof read === "object" && read !== null && !Array.isArray(read) ? read as Record<string, unknown> : null;
  } catch {
    return null;
  }
}

function unreadable(): ArkError {
  return new ArkError("engine_failed", "The model called a function with arguments that are no JSON object; ask again");
}
