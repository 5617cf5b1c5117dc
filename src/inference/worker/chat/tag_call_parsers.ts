import type { Tool } from "@ark/node/protocol";
import {
  type CallEvent,
  type CallParser,
  type CallState,
  Findings,
  type KnownTools,
  MOST_HEADER,
  MOST_VALUE,
  parsed,
} from "./call_parser.ts";

/** What models that have read much Python write for JSON's own words. */
const PYTHON_VALUES = new Map([["True", "true"], ["False", "false"], ["None", "null"]]);

/** `<function=NAME><parameter=KEY>value</parameter></function>`, as JSON. */
export class TagCallParser implements CallParser {
  readonly #tools: KnownTools;
  readonly #found = new Findings();
  #state: "before" | "name" | "between" | "key" | "value";
  #raw = "";
  #tool: Tool | undefined;
  #key = "";
  #count = 0;

  /** Begins to read, before or within the first tag. */
  constructor(tools: KnownTools, { inFunction }: { inFunction: boolean }) {
    this.#tools = tools;
    this.#state = inFunction ? "name" : "before";
  }

  /** Takes a character. */
  push(character: string): CallState {
    this.#raw += character;
    if (this.#raw.length > (this.#state === "value" ? MOST_VALUE : MOST_HEADER)) return "failed";
    switch (this.#state) {
      case "before":
        return this.#tag("<function=", "name");
      case "name": {
        if (character !== ">") return "more";
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
        if (character !== ">") return "more";
        this.#key = this.#raw.slice(0, -1).trim();
        return this.#go("value");
      case "value": {
        if (character !== ">" || !this.#raw.endsWith("</parameter>")) return "more";
        const text = this.#raw.slice(0, -"</parameter>".length).replace(/^\n/, "").replace(/\n$/, "");
        const before = this.#count++ === 0 ? "{" : ", ";
        this.#found.add(`${before}${JSON.stringify(this.#key)}: ${valueOf(text, this.#tool, this.#key)}`);
        return this.#go("between");
      }
    }
  }

  /** What was found since this was asked last. */
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
}

/** `NAME<arg_key>KEY</arg_key><arg_value>value</arg_value></tool_call>`, as JSON. */
export class PairCallParser implements CallParser {
  readonly #tools: KnownTools;
  readonly #found = new Findings();
  #state: "name" | "key" | "between" | "value" | "after" = "name";
  #raw = "";
  #tool: Tool | undefined;
  #key = "";
  #count = 0;

  /** Begins to read; only functions that are known are called. */
  constructor(tools: KnownTools) {
    this.#tools = tools;
  }

  /** Takes a character. */
  push(character: string): CallState {
    this.#raw += character;
    const most = this.#state === "value" ? MOST_VALUE : MOST_HEADER;
    if (this.#raw.length > most) return "failed";
    if (character !== ">") return "more";
    switch (this.#state) {
      case "name": {
        const [all, name = ""] = /^([^<]*)<(?:arg_key|\/tool_call)>$/.exec(this.#raw) ?? [];
        if (all === undefined) return "failed";
        this.#tool = this.#tools.get(name.trim());
        if (this.#tool === undefined) return "failed";
        this.#found.begin(this.#tool.name);
        return this.#next();
      }
      case "key":
        if (!this.#raw.endsWith("</arg_key>")) return "more";
        this.#key = this.#raw.slice(0, -"</arg_key>".length).trim();
        return this.#go("between");
      case "between":
        return this.#raw.trim() === "<arg_value>" ? this.#go("value") : "failed";
      case "value": {
        if (!this.#raw.endsWith("</arg_value>")) return "more";
        const text = this.#raw.slice(0, -"</arg_value>".length);
        const before = this.#count++ === 0 ? "{" : ", ";
        this.#found.add(`${before}${JSON.stringify(this.#key)}: ${valueOf(text, this.#tool, this.#key)}`);
        return this.#go("after");
      }
      case "after":
        return this.#next();
    }
  }

  /** What was found since this was asked last. */
  take(): CallEvent[] {
    return this.#found.take();
  }

  /** After a name or a value comes a key or the end. */
  #next(): CallState {
    if (this.#raw.endsWith("<arg_key>")) return this.#go("key");
    if (!this.#raw.endsWith("</tool_call>")) return "failed";
    this.#found.add(this.#count === 0 ? "{}" : "}");
    return "done";
  }

  #go(state: "key" | "between" | "value" | "after"): CallState {
    this.#state = state;
    this.#raw = "";
    return "more";
  }
}

/** A value as JSON: text where the function wants text or it is no JSON. */
function valueOf(text: string, tool: Tool | undefined, key: string): string {
  const properties = tool?.parameters?.properties as Record<string, { type?: unknown }> | undefined;
  const property = properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : undefined;
  if (property?.type !== "string") {
    const written = text.trim();
    const value = PYTHON_VALUES.get(written) ?? written;
    if (parsed(value) !== undefined) return value;
  }
  return JSON.stringify(text);
}
