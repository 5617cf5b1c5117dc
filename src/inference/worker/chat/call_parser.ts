import type { Tool } from "@ark/node/protocol";

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
export const MOST_HEADER = 300;
/** Longest value of an argument that is held back until it is complete, in UTF-16 units. */
export const MOST_VALUE = 4 << 20;

/** Collects what was found. */
export class Findings {
  #events: CallEvent[] = [];

  /** A call begins. */
  begin(name: string): void {
    this.#events.push({ name });
  }

  /** Its arguments go on. */
  add(text: string): void {
    if (text === "") return;
    const last = this.#events.at(-1);
    if (last !== undefined && "text" in last) last.text += text;
    else this.#events.push({ text });
  }

  /** What was found since this was asked last. */
  take(): CallEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

/** Follows the nesting of JSON from its first bracket to its last. */
export class Nesting {
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

/** What a JSON text says, or undefined. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
