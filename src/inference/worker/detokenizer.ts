/** Turns tokens into text; the last tokens before them decide about a space at their start. */
export type Detokenize = (tokens: readonly number[], before: readonly number[]) => string;

/** What a decoder writes for bytes that are no character, or not yet one. */
const REPLACEMENT = "\uFFFD";

/** A character has at most four bytes, and a token at least one: after four tokens it is no unfinished character. */
const LONGEST_CHARACTER = 4;

/** Tokens before the present ones that the tokenizer may want to see. */
const CONTEXT_TOKENS = 3;

/** Turns a stream of tokens into a stream of whole characters: what is not complete yet waits. */
export class Detokenizer {
  readonly #detokenize: Detokenize;
  #before: number[];
  #pending: number[] = [];
  #shown = 0;
  #waiting = 0;

  /** Makes a detokenizer for an answer that follows some tokens. */
  constructor(detokenize: Detokenize, before: readonly number[] = []) {
    this.#detokenize = detokenize;
    this.#before = before.slice(-CONTEXT_TOKENS);
  }

  /** Takes a token, and returns the characters that are complete with it. */
  push(token: number): string {
    this.#pending.push(token);
    const text = this.#detokenize(this.#pending, this.#before);
    if (!text.endsWith(REPLACEMENT)) return this.#finish(text);
    const complete = text.length - REPLACEMENT.length;
    this.#waiting = complete > this.#shown ? 1 : this.#waiting + 1;
    if (this.#waiting >= LONGEST_CHARACTER) return this.#finish(text);
    const fresh = text.slice(this.#shown, complete);
    this.#shown = Math.max(this.#shown, complete);
    return fresh;
  }

  /** What waits, where no more comes: an unfinished character becomes U+FFFD. */
  flush(): string {
    return this.#pending.length === 0 ? "" : this.#finish(this.#detokenize(this.#pending, this.#before));
  }

  #finish(text: string): string {
    const fresh = text.slice(this.#shown);
    this.#before = this.#pending.slice(-CONTEXT_TOKENS);
    this.#pending = [];
    this.#shown = 0;
    this.#waiting = 0;
    return fresh;
  }
}
