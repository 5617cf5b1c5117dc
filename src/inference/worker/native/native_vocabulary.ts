import type { Detokenize } from "../detokenizer.ts";
import type { PromptModel } from "../prompt.ts";
import { TOKEN_ATTRIBUTES } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";
import type { NativeModel } from "./native_model.ts";

/** Longest text of a token in bytes that is looked for at once. */
const PIECE_BYTES = 256;

/** What a tokenizer may put before a text: a text after this one is one that goes on. */
const BEFORE = "\n";

/** Tokens and texts of one model. */
export class NativeVocabulary {
  /** Tokens that there are. */
  readonly size: number;
  /** The vocabulary, for C. */
  readonly pointer: Deno.PointerValue;
  readonly #llama: Libraries["llama"];
  readonly #libraries: Libraries;
  readonly #model: NativeModel;
  readonly #shown = new Map<number, Uint8Array>();
  readonly #scratch = new Uint8Array(PIECE_BYTES);

  /** Reads what a model's vocabulary is. */
  constructor(libraries: Libraries, model: NativeModel) {
    this.#libraries = libraries;
    this.#llama = libraries.llama;
    this.#model = model;
    this.pointer = model.vocabulary;
    this.size = this.#llama.llama_vocab_n_tokens(this.pointer);
  }

  /** Whether a token ends an answer. */
  isEnd(token: number): boolean {
    return this.#llama.llama_vocab_is_eog(this.pointer, token);
  }

  /** The bytes of a token; `markup` tells those of a control token, too. */
  bytes(token: number, { markup }: { markup: boolean }): Uint8Array {
    if (token < 0 || token >= this.size) return new Uint8Array();
    if (markup) return this.#piece(token, markup);
    let bytes = this.#shown.get(token);
    if (bytes === undefined) this.#shown.set(token, bytes = this.#piece(token, markup));
    return bytes;
  }

  /** Turns tokens into text: a control token has none, and bytes that are no character become U+FFFD. */
  readonly detokenize: Detokenize = (tokens) => {
    const pieces = tokens.map((token) => this.bytes(token, { markup: false }));
    const [only] = pieces;
    return decoded(pieces.length === 1 && only !== undefined ? only : joined(pieces));
  };

  /** The tokens of a text. */
  tokenize(text: string, { markup, continued }: { markup: boolean; continued: boolean }): number[] {
    if (!continued) return this.#tokens(text, markup);
    // Some tokenizers put a space before a text, but not after a line's end.
    const before = this.#tokens(BEFORE, markup);
    const both = this.#tokens(BEFORE + text, markup);
    return before.every((token, index) => both[index] === token)
      ? both.slice(before.length)
      : this.#tokens(text, markup);
  }

  /** What prompts need to know of the model. */
  promptModel(): PromptModel {
    const bos = this.#llama.llama_vocab_bos(this.pointer);
    const eos = this.#llama.llama_vocab_eos(this.pointer);
    const text = (token: number) => token < 0 ? null : this.#text(token);
    return {
      template: this.#model.metadata("tokenizer.chat_template"),
      bosText: text(bos),
      eosText: text(eos),
      bos: bos >= 0 && this.#llama.llama_vocab_get_add_bos(this.pointer) ? bos : null,
      controlTexts: this.#controlTexts(),
      vocabularySize: this.size,
      tokenize: (piece, { mode, continued }) => this.tokenize(piece, { markup: mode === "markup", continued }),
    };
  }

  /** The texts that the tokenizer turns into control tokens. */
  #controlTexts(): string[] {
    const texts: string[] = [];
    for (let token = 0; token < this.size; token++) {
      const attributes = this.#llama.llama_vocab_get_attr(this.pointer, token);
      if ((attributes & (TOKEN_ATTRIBUTES.control | TOKEN_ATTRIBUTES.unknown)) !== 0) texts.push(this.#text(token));
    }
    return texts;
  }

  /** The text of a token as the vocabulary writes it. */
  #text(token: number): string {
    return this.#libraries.text(this.#llama.llama_vocab_get_text(this.pointer, token) as bigint);
  }

  #piece(token: number, markup: boolean): Uint8Array {
    let bytes = this.#scratch;
    let length = this.#llama.llama_token_to_piece(this.pointer, token, bytes, bytes.length, 0, markup);
    if (length < 0) {
      bytes = new Uint8Array(-length);
      length = this.#llama.llama_token_to_piece(this.pointer, token, bytes, bytes.length, 0, markup);
    }
    return bytes.slice(0, Math.max(0, length));
  }

  #tokens(text: string, markup: boolean): number[] {
    const bytes = new TextEncoder().encode(text);
    const special = false;
    let tokens = new Int32Array(bytes.length + 2);
    const run = () =>
      this.#llama.llama_tokenize(this.pointer, bytes, bytes.length, tokens, tokens.length, special, markup);
    let count = run();
    if (count < 0) {
      tokens = new Int32Array(-count);
      count = run();
    }
    return [...tokens.subarray(0, Math.max(0, count))];
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function decoded(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
