import {
  type CallEvent,
  type CallParser,
  type CallState,
  Findings,
  type KnownTools,
  MOST_HEADER,
  MOST_VALUE,
  Nesting,
  parsed,
} from "./call_parser.ts";

/** `{"name": …, "arguments": {…}}`, or a list of such; also `tool_name` and `parameters`. */
export class JsonCallParser implements CallParser {
  readonly #tools: KnownTools;
  readonly #found = new Findings();
  #object: JsonObjectParser | null = null;
  #inList = false;
  #any = false;

  /** Begins to read; only functions that are known are called. */
  constructor(tools: KnownTools) {
    this.#tools = tools;
  }

  /** Takes a character. */
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

  /** What was found since this was asked last. */
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
        this.#key = String(parsed(this.#raw));
        this.#expects = "colon";
        // What has other keys first is an answer in JSON, and need not wait.
        return this.#name === undefined && !CALL_KEYS.has(this.#key) ? "failed" : "more";
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

/** Keys that may come before the name. */
const CALL_KEYS = new Set("name tool_name function type id tool_call_id arguments parameters".split(" "));

function isName(key: string): boolean {
  return key === "name" || key === "tool_name" || key === "function";
}

function isArguments(key: string): boolean {
  return key === "arguments" || key === "parameters";
}
