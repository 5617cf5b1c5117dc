import { ArkError } from "@ark/node/protocol";
import type { AnswerGrammar } from "../prepare.ts";
import type { Candidates } from "./candidates.ts";
import { cString, type Libraries } from "./libraries.ts";
import type { NativeVocabulary } from "./native_vocabulary.ts";

/** Bounds of a grammar: llama.cpp reads it by functions that call themselves, and a stack that is full ends the process. */
const MOST_TEXT = 1 << 20;
const MOST_RULES = 8_192;
const MOST_DEPTH = 128;

/** What a grammar works with. */
export interface GrammarOptions {
  /** Its text, and from where on it holds. */
  grammar: AnswerGrammar;
  /** Tokens and their texts. */
  vocabulary: NativeVocabulary;
  /** The tokens that are left to choose from. */
  candidates: Candidates;
}

/**
 * What one answer may look like. A lazy grammar waits until the answer has one of its triggers, and then holds from that
 * text on. llama.cpp has that, too, but ends the process where the token that completes a trigger goes on in a way that
 * the grammar does not allow; here the grammar is left out then.
 */
export class Grammar {
  readonly #libraries: Libraries;
  readonly #options: GrammarOptions;
  readonly #triggers: readonly string[];
  #sampler: Deno.PointerValue = null;
  /** What may be the beginning of a trigger, a character for each byte. */
  #tail = "";
  #waiting: boolean;

  /**
   * Reads a grammar.
   *
   * @throws {ArkError} `bad_request` where it cannot be read.
   */
  constructor(libraries: Libraries, options: GrammarOptions) {
    this.#libraries = libraries;
    this.#options = options;
    const { triggers } = options.grammar;
    this.#triggers = (triggers ?? []).filter((text) => text !== "").map((text) =>
      bytesAsText(new TextEncoder().encode(text))
    );
    this.#waiting = triggers !== null;
    this.#sampler = this.#read();
  }

  /** The sampler that takes away what is not allowed, or null while everything is. */
  get sampler(): Deno.PointerValue {
    return this.#waiting ? null : this.#sampler;
  }

  /**
   * Takes a token of the answer; one that ends it is not to be told. False where the grammar holds already, and does not
   * allow the token.
   */
  accept(token: number): boolean {
    if (this.#sampler === null) return true;
    if (!this.#waiting) return this.#take(token);
    this.#tail += bytesAsText(this.#options.vocabulary.bytes(token, { markup: true }));
    const at = Math.min(
      ...this.#triggers.map((text) => this.#tail.indexOf(text)).map((found) => found < 0 ? Infinity : found),
    );
    if (at === Infinity) {
      const longest = Math.max(0, ...this.#triggers.map(({ length }) => length - 1));
      this.#tail = longest === 0 ? "" : this.#tail.slice(-longest);
      return true;
    }
    this.#begin(this.#tail.slice(at));
    return true;
  }

  /** Frees it. */
  free(): void {
    if (this.#sampler !== null) this.#libraries.llama.llama_sampler_free(this.#sampler);
    this.#sampler = null;
  }

  /** Lets the grammar hold from a text on that is written already. */
  #begin(written: string): void {
    this.#waiting = false;
    this.#tail = "";
    const { vocabulary } = this.#options;
    const text = new TextDecoder().decode(Uint8Array.from(written, (character) => character.charCodeAt(0)));
    const tokens = vocabulary.tokenize(text, { markup: true, continued: true });
    const pieces = tokens.map((token) => bytesAsText(vocabulary.bytes(token, { markup: true }))).join("");
    for (const token of pieces === written ? tokens : [-1]) this.#take(token);
  }

  /** Goes on by a token. llama.cpp ends the process at one that is not allowed, so that is looked at before. */
  #take(token: number): boolean {
    if (this.#sampler === null) return true;
    if (token < 0 || !this.#options.candidates.allows(this.#sampler, token)) {
      this.free();
      return false;
    }
    this.#libraries.llama.llama_sampler_accept(this.#sampler, token);
    return true;
  }

  #read(): Deno.PointerValue {
    const { gbnf } = this.#options.grammar;
    const { llama } = this.#libraries;
    const sampler = isBounded(gbnf)
      ? llama.llama_sampler_init_grammar(this.#options.vocabulary.pointer, cString(gbnf), cString("root"))
      : null;
    if (sampler === null) {
      throw new ArkError(
        "bad_request",
        "The grammar cannot be read, or is too large; it must be GBNF with a rule root",
      );
    }
    return sampler;
  }
}

/** Whether llama.cpp can read a grammar within its stack. */
export function isBounded(gbnf: string): boolean {
  if (gbnf.trim() === "" || gbnf.length > MOST_TEXT || gbnf.includes("\0")) return false;
  if (gbnf.split("::=").length - 1 > MOST_RULES) return false;
  let depth = 0;
  for (const character of gbnf) {
    if (character === "(" && ++depth > MOST_DEPTH) return false;
    if (character === ")") depth--;
  }
  return true;
}

/** A character for each byte. */
function bytesAsText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
