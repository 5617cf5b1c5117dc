import type { AnswerReader, AnswerShapePart } from "../prepare.ts";
import type { KnownTools } from "./call_parser.ts";
import { HeldText } from "./held_text.ts";
import { callId } from "./syntax_reader.ts";

/** Texts that end the head of a message or its body. */
const BODY_ENDS = ["<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>"];
/** All control texts of the language. */
export const HARMONY_MARKS: readonly string[] = [...BODY_ENDS, "<|message|>", "<|constrain|>"];
/** Longest head of a message. */
const MOST_HEAD = 300;

/**
 * Reads harmony, the language of gpt-oss: messages in channels. `analysis` is thoughts, what is addressed to
 * `functions.NAME` is a call, and all else is text. The prompt ends where the head of the first message begins.
 */
export class HarmonyReader implements AnswerReader {
  readonly #tools: KnownTools;
  readonly #parallel: boolean;
  readonly #held = new HeldText();
  #body: "reasoning" | "text" | "call" | null = null;
  #begun = false;
  #calls = 0;
  #ended = false;

  /** Begins to read an answer; only functions that are known are called, and several only where that is wanted. */
  constructor(tools: KnownTools, { parallel }: { parallel: boolean }) {
    this.#tools = tools;
    this.#parallel = parallel;
  }

  /** Whether the model has called a function. */
  get called(): boolean {
    return this.#calls > 0;
  }

  /** Whether the only call that is wanted is complete. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes a piece, and returns what is certain with it. */
  push(text: string): AnswerShapePart[] {
    const parts: AnswerShapePart[] = [];
    this.#held.add(text);
    while (!this.#ended && this.#held.text !== "" && (this.#body === null ? this.#head(parts) : this.#read(parts)));
    return parts;
  }

  /** What was held back, where no more comes. */
  flush(): AnswerShapePart[] {
    const parts: AnswerShapePart[] = [];
    const rest = this.#held.take(this.#held.text.length);
    // A head without a message says nothing, unless the model does not speak the language at all.
    if (this.#ended) return parts;
    if (this.#body !== null || (!this.#begun && !rest.includes("<|"))) this.#say(parts, rest);
    return parts;
  }

  #head(parts: AnswerShapePart[]): boolean {
    const found = this.#held.find(["<|message|>"]);
    const head = found === null ? this.#held.text : this.#held.text.slice(0, found.at);
    if (found === null) {
      const plain = !this.#begun && !head.includes("<") && !/^\s*(to=|$)/.test(head) && !"to=".startsWith(head.trim());
      if (head.length <= MOST_HEAD && !plain) return false;
      this.#body = "text";
      this.#begun = true;
      return true;
    }
    this.#held.take(found.at + found.text.length);
    this.#begun = true;
    const [, name] = /to=functions\.([\w.-]{1,64})/.exec(head) ?? [];
    const [, channel] = /.*<\|channel\|>\s*(\w+)/s.exec(head) ?? [];
    this.#body = channel === "analysis" ? "reasoning" : "text";
    if (name !== undefined && this.#tools.has(name)) {
      this.#body = "call";
      parts.push({ type: "tool_call", index: this.#calls++, id: callId(), name });
    }
    return true;
  }

  #read(parts: AnswerShapePart[]): boolean {
    const found = this.#held.find(BODY_ENDS);
    if (found === null) {
      this.#say(parts, this.#held.take(this.#held.certain(BODY_ENDS)));
      return false;
    }
    this.#say(parts, this.#held.take(found.at));
    this.#ended = this.#body === "call" && !this.#parallel;
    this.#body = null;
    // A channel is part of the next head; it tells which.
    if (found.text !== "<|channel|>") this.#held.take(found.text.length);
    return true;
  }

  #say(parts: AnswerShapePart[], text: string): void {
    if (text === "") return;
    if (this.#body === "call") parts.push({ type: "tool_arguments", index: this.#calls - 1, text });
    else parts.push({ type: this.#body ?? "text", text });
  }
}
