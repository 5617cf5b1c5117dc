import {
  type CallEvent,
  type CallParser,
  type CallState,
  Findings,
  type KnownTools,
  MOST_HEADER,
  Nesting,
} from "./call_parser.ts";
import { JsonCallParser } from "./json_call_parser.ts";

/** A name in some frame, then the arguments. */
export class NamedCallParser implements CallParser {
  readonly #tools: KnownTools;
  readonly #pattern: RegExp;
  readonly #found = new Findings();
  readonly #nesting = new Nesting();
  #header = "";
  #list: JsonCallParser | null = null;
  #begun = false;

  /** Begins to read; the first group of the pattern is the function. */
  constructor(tools: KnownTools, pattern: RegExp) {
    this.#tools = tools;
    this.#pattern = pattern;
  }

  /** Takes a character. */
  push(character: string): CallState {
    if (this.#list !== null) return this.#list.push(character);
    if (!this.#begun) {
      // Templates of one family differ: some models of it write a list in JSON.
      if (character === "[" && this.#header.trim() === "") {
        this.#list = new JsonCallParser(this.#tools);
        return this.#list.push(character);
      }
      if (character !== "{") {
        this.#header += character;
        return this.#header.length > MOST_HEADER ? "failed" : "more";
      }
      const [, name] = this.#pattern.exec(this.#header) ?? [];
      if (name === undefined || !this.#tools.has(name)) return "failed";
      this.#begun = true;
      this.#found.begin(name);
    }
    this.#nesting.push(character);
    this.#found.add(character);
    return this.#nesting.depth === 0 ? "done" : "more";
  }

  /** What was found since this was asked last. */
  take(): CallEvent[] {
    return [...this.#list?.take() ?? [], ...this.#found.take()];
  }
}
