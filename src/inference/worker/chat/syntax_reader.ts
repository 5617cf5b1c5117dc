import type { AnswerReader, AnswerShapePart } from "../prepare.ts";
import type { CallParser, KnownTools } from "./call_parser.ts";
import { callParser } from "./call_parsers.ts";
import type { CallSyntax, ThinkTags } from "./call_syntax.ts";
import { HeldText } from "./held_text.ts";

/** Longest text that waits to become a call, in UTF-16 units. */
const MOST_WAITING = 64 << 10;

/** What {@linkcode SyntaxReader} looks for. */
export interface SyntaxReaderOptions {
  /** How calls are written, or null where there are no functions. */
  syntax: CallSyntax | null;
  /** Functions that may be called. */
  tools: KnownTools;
  /** Whether several may be called. */
  parallel: boolean;
  /** The tags of thoughts, or null. */
  think: ThinkTags | null;
  /** Whether the prompt has begun the thoughts. */
  thinking: boolean;
}

/**
 * Reads thoughts, text and calls as most models write them.
 *
 * | state | what comes | ends |
 * |---|---|---|
 * | `thinking` | thoughts | with their closing tag |
 * | `text` | text for the user | with a text that begins a call |
 * | `call` | the inside of a call | where its parser says so; what is no call becomes text |
 * | `after` | what belongs to a call or lies between two | with other text, or another call |
 */
export class SyntaxReader implements AnswerReader {
  readonly #options: SyntaxReaderOptions;
  readonly #held = new HeldText();
  #state: "thinking" | "text" | "call" | "after";
  #parser: CallParser | null = null;
  /** What was read since the call began, as long as it may turn out to be none. */
  #raw: string | null = null;
  #calls = 0;
  /** Whether anything but space has come, so that neither thoughts nor a bare call can begin any more. */
  #begun = false;
  /** Whether the next space is not shown: it follows thoughts. */
  #trims = false;
  #ended = false;

  /** Begins to read an answer. */
  constructor(options: SyntaxReaderOptions) {
    this.#options = options;
    this.#state = options.thinking && options.think !== null ? "thinking" : "text";
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
    if (this.#ended) return parts;
    this.#held.add(text);
    // Each step takes something, or waits for more.
    while (!this.#ended && this.#step(parts));
    return parts;
  }

  /** What was held back, where no more comes. */
  flush(): AnswerShapePart[] {
    const parts: AnswerShapePart[] = [];
    if (this.#state === "call") this.#giveUp(parts);
    const rest = this.#held.take(this.#held.text.length);
    if (this.#ended || this.#state === "after" && rest.trim() === "") return parts;
    if (this.#state === "thinking") this.#reason(parts, rest);
    else this.#say(parts, rest);
    return parts;
  }

  #step(parts: AnswerShapePart[]): boolean {
    if (this.#held.text === "") return false;
    switch (this.#state) {
      case "thinking":
        return this.#think(parts);
      case "text":
        return this.#text(parts);
      case "call":
        return this.#call(parts);
      case "after":
        return this.#after();
    }
  }

  #think(parts: AnswerShapePart[]): boolean {
    const close = [this.#options.think?.close ?? ""];
    const found = this.#held.find(close);
    if (found === null) {
      const certain = this.#held.text.slice(0, this.#held.certain(close));
      this.#reason(parts, this.#held.take(certain.trimEnd().length));
      return false;
    }
    this.#reason(parts, this.#held.take(found.at).trimEnd());
    this.#held.take(found.text.length);
    this.#state = "text";
    this.#trims = true;
    return true;
  }

  #text(parts: AnswerShapePart[]): boolean {
    const { syntax, think } = this.#options;
    if (!this.#begun) {
      const start = this.#held.text.trimStart();
      if (start === "") return false;
      if (syntax?.form === "bare" && start.startsWith("{")) return this.#open("");
      if (think !== null && think.open.startsWith(start) && start !== think.open) return false;
      if (think !== null && start.startsWith(think.open)) {
        this.#held.take(this.#held.text.indexOf(think.open) + think.open.length);
        this.#state = "thinking";
        this.#begun = true;
        this.#trims = true;
        return true;
      }
    }
    const opens = syntax?.open ?? [];
    const around = syntax?.around ?? [];
    const marks = [...opens, ...around];
    const found = this.#held.find(marks);
    if (found !== null) {
      const before = this.#held.take(found.at);
      this.#say(parts, opens.includes(found.text) ? before.trimEnd() : before);
      if (opens.includes(found.text)) return this.#open(found.text);
      this.#held.take(found.text.length);
      return true;
    }
    // Space before a call is not shown, so it waits.
    const certain = this.#held.text.slice(0, this.#held.certain(marks));
    const shown = opens.length === 0 ? certain.length : certain.trimEnd().length;
    this.#say(parts, this.#held.take(shown));
    return false;
  }

  #open(text: string): boolean {
    const { syntax, tools } = this.#options;
    if (syntax === null) return false;
    this.#held.take(text.length);
    this.#parser = callParser(syntax, tools, { opened: text });
    this.#raw = text;
    this.#state = "call";
    return true;
  }

  #call(parts: AnswerShapePart[]): boolean {
    const parser = this.#parser;
    while (parser !== null && this.#held.text !== "") {
      const character = this.#held.take((this.#held.text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1);
      if (this.#raw !== null) this.#raw += character;
      const state = parser.push(character);
      this.#collect(parts, parser);
      if (state === "done") {
        this.#parser = null;
        this.#raw = null;
        this.#state = "after";
        this.#begun = true;
        if (!this.#options.parallel) this.#ended = true;
        return true;
      }
      if (state === "failed" || (this.#raw?.length ?? 0) > MOST_WAITING) {
        this.#giveUp(parts);
        return true;
      }
    }
    return false;
  }

  #collect(parts: AnswerShapePart[], parser: CallParser): void {
    for (const event of parser.take()) {
      if ("name" in event) {
        if (this.#calls > 0 && !this.#options.parallel) this.#ended = true;
        if (this.#ended) return;
        this.#raw = null;
        parts.push({ type: "tool_call", index: this.#calls++, id: callId(), name: event.name });
      } else if (this.#calls > 0) {
        const index = this.#calls - 1;
        const last = parts.at(-1);
        if (last?.type === "tool_arguments" && last.index === index) last.text += event.text;
        else parts.push({ type: "tool_arguments", index, text: event.text });
      }
    }
  }

  /** What looked like a call is text; of one that has begun, what came is kept. */
  #giveUp(parts: AnswerShapePart[]): void {
    const raw = this.#raw;
    this.#parser = null;
    this.#raw = null;
    this.#state = raw === null ? "after" : "text";
    if (raw !== null) this.#say(parts, raw);
  }

  #after(): boolean {
    const { syntax } = this.#options;
    if (syntax === null) return false;
    const rest = this.#held.text.trimStart();
    if (rest === "") return false;
    const marks = [...syntax.close, ...syntax.open];
    const mark = marks.find((each) => rest.startsWith(each));
    if (mark === undefined && marks.some((each) => each.startsWith(rest))) return false;
    this.#held.take(this.#held.text.length - rest.length);
    if (mark !== undefined && syntax.open.includes(mark)) return this.#open(mark);
    if (mark !== undefined) {
      this.#held.take(mark.length);
      return true;
    }
    // A second call without anything around it, or a bracket too many, which small models like to write.
    if (rest.startsWith("{") && (syntax.form === "json" || syntax.form === "bare")) {
      return this.#open("");
    }
    if (rest.startsWith("}")) {
      this.#held.take(1);
      return true;
    }
    this.#state = "text";
    return true;
  }

  #reason(parts: AnswerShapePart[], text: string): void {
    const shown = this.#trims || !this.#begun ? text.trimStart() : text;
    if (shown === "") return;
    this.#begun = true;
    this.#trims = false;
    parts.push({ type: "reasoning", text: shown });
  }

  #say(parts: AnswerShapePart[], text: string): void {
    const shown = this.#trims ? text.trimStart() : text;
    if (shown.trim() !== "") {
      this.#trims = false;
      this.#begun = true;
    }
    if (shown !== "") parts.push({ type: "text", text: shown });
  }
}

/** A name for a call that no other has. */
export function callId(): string {
  return `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}
