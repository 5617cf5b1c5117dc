import { type AnswerPart, ArkError, type TokenLogprob } from "@ark/node/protocol";

/** A stretch of one kind in an answer: text, thoughts, or one call of a function. */
export interface AnswerPiece {
  /** What it is. */
  readonly kind: "text" | "reasoning" | "call";
  /** Its place among the pieces, from 0. */
  readonly index: number;
  /** The call's id and function; null where it is none. */
  readonly call: { readonly id: string; readonly name: string } | null;
  /** What was written so far: of a call, its arguments. */
  text: string;
  /** How likely its tokens were, where that was asked. */
  readonly logprobs: TokenLogprob[];
}

/** Told how an answer grows, piece by piece: each is opened, grows, and is closed before the next is opened. */
export interface PieceListener {
  /** A piece begins; it has no text yet. */
  opened(piece: AnswerPiece): void;
  /** A piece has more text. */
  grew(piece: AnswerPiece, text: string, logprobs: readonly TokenLogprob[]): void;
  /** A piece is complete. */
  closed(piece: AnswerPiece): void;
}

/** Most pieces of one answer. */
const MOST_PIECES = 4_096;

const NOBODY: PieceListener = { opened: () => {}, grew: () => {}, closed: () => {} };
const NONE: readonly TokenLogprob[] = [];

/** Sorts the parts of an answer into pieces, which is how Anthropic's API and OpenAI's Responses see an answer. */
export class AnswerPieces {
  /** All pieces so far, in their order. */
  readonly all: AnswerPiece[] = [];
  readonly #listener: PieceListener;
  #open: AnswerPiece | null = null;
  #calls = 0;
  #reasoningTokens = 0;
  /** Of tokens that came before the text that they are part of. */
  #early: TokenLogprob[] = [];

  /** Begins without any. */
  constructor(listener: PieceListener = NOBODY) {
    this.#listener = listener;
  }

  /** Tokens of thoughts so far. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  /**
   * Takes the next part.
   *
   * @throws {ArkError} `engine_failed` for a part that cannot follow those before it, or is of no text at all.
   */
  take(part: AnswerPart): void {
    switch (part.type) {
      case "text":
        return this.#text(part.text, part.logprobs ?? NONE);
      case "reasoning":
        this.#reasoningTokens += part.tokens;
        return this.#grow(this.#of("reasoning", part.text), part.text, NONE);
      case "tool_call":
        if (part.index !== this.#calls) throw outOfOrder();
        this.#calls++;
        return void this.#begin("call", { id: part.id, name: part.name });
      case "tool_arguments": {
        const call = this.#open;
        if (call?.kind !== "call" || part.index !== this.#calls - 1) throw outOfOrder();
        return this.#grow(call, part.text, NONE);
      }
      default:
        throw new ArkError("engine_failed", "The engine answered a chat with something else than text; ask again");
    }
  }

  /** Opens a text without a word, for those who want one in any case. */
  begin(): void {
    this.#begin("text", null);
  }

  /** Closes the piece that is open, if there is one. */
  close(): void {
    const piece = this.#open;
    this.#open = null;
    if (piece !== null) this.#listener.closed(piece);
  }

  /** Opens a piece after closing the one before. */
  #begin(kind: AnswerPiece["kind"], call: AnswerPiece["call"]): AnswerPiece {
    this.close();
    if (this.all.length >= MOST_PIECES) {
      throw new ArkError("engine_failed", `The answer fell into more than ${MOST_PIECES} pieces; ask again`);
    }
    const piece: AnswerPiece = { kind, index: this.all.length, call, text: "", logprobs: [] };
    this.all.push(piece);
    this.#open = piece;
    this.#listener.opened(piece);
    return piece;
  }

  #text(text: string, logprobs: readonly TokenLogprob[]): void {
    const piece = this.#of("text", text);
    if (piece === null) return void this.#early.push(...logprobs);
    const all = this.#early.length === 0 ? logprobs : [...this.#early, ...logprobs];
    this.#early = [];
    this.#grow(piece, text, all);
  }

  /** The piece that a text belongs to, or null where it is empty and there is none yet. */
  #of(kind: "text" | "reasoning", text: string): AnswerPiece | null {
    if (this.#open?.kind === kind) return this.#open;
    return text === "" ? null : this.#begin(kind, null);
  }

  #grow(piece: AnswerPiece | null, text: string, logprobs: readonly TokenLogprob[]): void {
    if (piece === null || (text === "" && logprobs.length === 0)) return;
    piece.text += text;
    piece.logprobs.push(...logprobs);
    this.#listener.grew(piece, text, logprobs);
  }
}

function outOfOrder(): ArkError {
  return new ArkError("engine_failed", "The engine called functions in an impossible order; ask again");
}
