import type { Tool } from "@ark/node/protocol";
import type { CallSyntax } from "./call_syntax.ts";

/** What a call parser found: a call begins, or goes on with text of its arguments. */
export type CallEvent = { name: string } | { text: string };

/** What became of a character: more is wanted, it was the last one, or this is no call. */
export type CallState = "more" | "done" | "failed";

/** Reads the inside of a call, character by character. */
export interface CallParser {
  /** Takes a character. */
  push(character: string): CallState;
  /** What was found since this was asked last. */
  take(): CallEvent[];
}

/** Functions by name. */
export type KnownTools = ReadonlyMap<string, Tool>;

/** Longest text before the arguments of a call. */
const MOST_HEADER = 300;
/** Longest value of an argument that is held back until it is complete, in UTF-16 units. */
const MOST_VALUE = 4 << 20;

/** A parser for a call that began with one of the syntax's texts, or for a bare one. */
export function callParser(syntax: CallSyntax, tools: KnownTools, { opened }: { opened: string }): CallParser {
  switch (syntax.form) {
    case "tags":
      return new TagCallParser(tools, { inFunction: opened === "<function=" });
    case "named":
      return new NamedCallParser(tools, syntax.header ?? /^([\w.-]+)$/);
    default:
      return new JsonCallParser(tools);
  }
}

/** Collects what was found. */
class Findings {
  #events: CallEvent[] = [];

  begin(name: string): void {
    this.#events.push({ name });
  }

  add(text: string): void {
    if (text === "") return;
    const last = this.#events.at(-1);
    if (last !== undefined && "text" in last) last.text += text;
    else this.#events.push({ text });
  }

  take(): CallEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

/** Follows the nesting of JSON from its first bracket to its last. */
class Nesting {
  /** Brackets that are open. */
  depth = 0;
  /** Whether a text is open. */
  inText = false;
  #escaped = false;

  /** Takes a character; a closing quote counts as within its text. */
  push(character: string): void {
    if (this.inText) {
      if (this.#escaped) this.#escaped = false;
      else if (character === "\\") this.#escaped = true;
      else if (character === '"') this.inText = false;
    } else if (character === '"') this.inText = true;
    else if (character === "{" || character === "[") this.depth++;
    else if (character === "}" || character === "]") this.depth--;
  }
}

/** `{"name": …, "arguments": {…}}`, or a list of such; also `tool_name` and `parameters`. */
class JsonCallParser implements CallParser {
  readonly #tools: KnownTools;
  readonly #found = new Findings();
  #object: JsonObjectParser | null = null;
  #inList = false;
  #any = false;

  constructor(tools: KnownTools) {
    this.#tools = tools;
  }

  push(character: string): CallState {
    if (this.#object !== null) {
      const state = this.#object.push(character);
      if (state !== "done") return state;
      this.#object = null;
      this.#any = true;
      return this.#inList ? "more" : "done";
    }
    if (/\s/.test(character)) return "more";
    if (character === "{") {
      this.#object = new JsonObjectParser(this.#tools, this.#found);
      return this.#object.push(character);
    }
    if (character === "[" && !this.#inList && !this.#any) {
      this.#inList = true;
      return "more";
    }
    if (this.#inList && this.#any && character === ",") return "more";
    return this.#inList && this.#any && character === "]" ? "done" : "failed";
  }

  take(): CallEvent[] {
    return this.#found.take();
  }
}

/** One object with the name and the arguments of a call, in any order and with other keys beside them. */
class JsonObjectParser {
  readonly #tools: KnownTools;
  readonly #found: Findings;
  readonly #nesting = new Nesting();
  #expects: "key" | "colon" | "value" | "next" = "key";
  #key = "";
  #raw = "";
  /** Whether the value that comes is shown as it comes. */
  #flows = false;
  #name: string | undefined;
  /** Arguments that came before the name. */
  #early: string | undefined;
  #told = false;

  constructor(tools: KnownTools, found: Findings) {
    this.#tools = tools;
    this.#found = found;
  }

  push(character: string): CallState {
    const { depth, inText } = this.#nesting;
    this.#nesting.push(character);
    if (depth === 0) return "more";
    switch (this.#expects) {
      case "key":
        if (!inText && this.#raw === "") {
          if (/\s/.test(character)) return "more";
          if (character === "}") return this.#finish();
          if (character !== '"') return "failed";
        }
        this.#raw += character;
        if (this.#raw.length > MOST_HEADER) return "failed";
        if (this.#nesting.inText) return "more";
        this.#key = parsed(this.#raw) as string;
        this.#expects = "colon";
        return "more";
      case "colon":
        if (/\s/.test(character)) return "more";
        if (character !== ":") return "failed";
        this.#expects = "value";
        this.#raw = "";
        return "more";
      case "value":
        return this.#value(character, { depth, inText });
      case "next":
        return this.#next(character);
    }
  }

  #value(character: string, { depth, inText }: { depth: number; inText: boolean }): CallState {
    if (this.#raw === "" && /\s/.test(character)) return "more";
    const scalarEnds = !inText && depth === 1 && this.#raw !== "" && /[\s,}]/.test(character);
    if (scalarEnds) {
      const state = this.#valueEnds();
      return state === "failed" ? state : this.#next(character);
    }
    if (this.#raw === "") this.#flows = isArguments(this.#key) && this.#name !== undefined && character === "{";
    this.#raw += character;
    if (this.#raw.length > MOST_VALUE) return "failed";
    if (this.#flows) this.#found.add(character);
    const { depth: now, inText: within } = this.#nesting;
    const ended = now === 1 && !within && (depth > 1 || inText || /[}\]]/.test(character));
    return ended ? this.#valueEnds() : "more";
  }

  #valueEnds(): CallState {
    const raw = this.#raw;
    this.#raw = "";
    this.#expects = "next";
    if (isName(this.#key) && this.#name === undefined) {
      const name = parsed(raw);
      if (typeof name !== "string" || !this.#tools.has(name)) return "failed";
      this.#name = name;
      this.#found.begin(name);
      if (this.#early !== undefined) this.#tell(this.#early);
    } else if (isArguments(this.#key) && !this.#told) {
      if (this.#flows) this.#told = true;
      else if (this.#name === undefined) this.#early = raw;
      else this.#tell(raw);
    }
    this.#flows = false;
    return "more";
  }

  #next(character: string): CallState {
    if (/\s/.test(character)) return "more";
    if (character === "}") return this.#finish();
    if (character !== ",") return "failed";
    this.#expects = "key";
    this.#raw = "";
    return "more";
  }

  #finish(): CallState {
    if (this.#name === undefined) return "failed";
    if (!this.#told) this.#tell("{}");
    return "done";
  }

  /** Arguments that are complete. Some models write them as a text that holds JSON, or null for none. */
  #tell(raw: string): void {
    const value = parsed(raw);
    this.#found.add(typeof value === "string" ? value : value === null ? "{}" : raw);
    this.#told = true;
  }
}

function isName(key: string): boolean {
  return key === "name" || key === "tool_name";
}

function isArguments(key: string): boolean {
  return key === "arguments" || key === "parameters";
}

/** What a JSON text says, or undefined. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A name in some frame, then the arguments. */
class NamedCallParser implements CallParser {
  readonly #tools: KnownTools;
  readonly #pattern: RegExp;
  readonly #found = new Findings();
  readonly #nesting = new Nesting();
  #header = "";
  #list: JsonCallParser | null = null;
  #begun = false;

  constructor(tools: KnownTools, pattern: RegExp) {
    this.#tools = tools;
    this.#pattern = pattern;
  }

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

  take(): CallEvent[] {
    return [...this.#list?.take() ?? [], ...this.#found.take()];
  }
}

/** `<function=NAME><parameter=KEY>value</parameter></function>`, as JSON. */
class TagCallParser implements CallParser {
  readonly #tools: KnownTools;
  readonly #found = new Findings();
  #state: "before" | "name" | "between" | "key" | "value";
  #raw = "";
  #tool: Tool | undefined;
  #key = "";
  #count = 0;

  constructor(tools: KnownTools, { inFunction }: { inFunction: boolean }) {
    this.#tools = tools;
    this.#state = inFunction ? "name" : "before";
  }

  push(character: string): CallState {
    this.#raw += character;
    switch (this.#state) {
      case "before":
        return this.#tag("<function=", "name");
      case "name": {
        if (character !== ">") return this.#raw.length > MOST_HEADER ? "failed" : "more";
        this.#tool = this.#tools.get(this.#raw.slice(0, -1).trim());
        if (this.#tool === undefined) return "failed";
        this.#found.begin(this.#tool.name);
        return this.#go("between");
      }
      case "between": {
        if (this.#raw.trim() === "</function>") {
          this.#found.add(this.#count === 0 ? "{}" : "}");
          return "done";
        }
        if ("</function>".startsWith(this.#raw.trim())) return "more";
        return this.#tag("<parameter=", "key");
      }
      case "key":
        if (character !== ">") return this.#raw.length > MOST_HEADER ? "failed" : "more";
        this.#key = this.#raw.slice(0, -1).trim();
        return this.#go("value");
      case "value": {
        if (this.#raw.length > MOST_VALUE) return "failed";
        if (character !== ">" || !this.#raw.endsWith("</parameter>")) return "more";
        const text = this.#raw.slice(0, -"</parameter>".length).replace(/^\n/, "").replace(/\n$/, "");
        const before = this.#count++ === 0 ? "{" : ", ";
        this.#found.add(`${before}${JSON.stringify(this.#key)}: ${this.#json(text)}`);
        return this.#go("between");
      }
    }
  }

  take(): CallEvent[] {
    return this.#found.take();
  }

  #tag(tag: string, next: "name" | "key"): CallState {
    const text = this.#raw.trimStart();
    if (text === tag) return this.#go(next);
    return tag.startsWith(text) ? "more" : "failed";
  }

  #go(state: "name" | "between" | "key" | "value"): CallState {
    this.#state = state;
    this.#raw = "";
    return "more";
  }

  /** A value as JSON: text where the function wants text or it is no JSON. */
  #json(text: string): string {
    const properties = this.#tool?.parameters?.properties as Record<string, { type?: unknown }> | undefined;
    const property = properties !== undefined && Object.hasOwn(properties, this.#key)
      ? properties[this.#key]
      : undefined;
    if (property?.type !== "string") {
      const written = text.trim();
      const value = { True: "true", False: "false", None: "null" }[written] ?? written;
      if (parsed(value) !== undefined) return value;
    }
    return JSON.stringify(text);
  }
}
