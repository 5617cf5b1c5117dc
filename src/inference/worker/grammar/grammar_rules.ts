import { ArkError } from "@ark/node/protocol";

/** Rules of one grammar, at most; a schema with 500 properties has about 1,500. */
const MOST_RULES = 4_000;
/** Characters of one grammar, at most. */
const MOST_CHARACTERS = 512 << 10;
/** Repetitions that llama.cpp would write out, at most: of one rule, and of a grammar. */
const MOST_REPEATED = 2_000;
const MOST_REPETITIONS = 20_000;

/** Rules that every grammar about JSON needs, and the rules that they need. */
const PRIMITIVES: Record<string, { body: string; needs: string[] }> = {
  // As models write JSON: a space after a colon, and lines and indents within brackets.
  sp: { body: '" "?', needs: [] },
  ws: { body: '| " " | "\\n"{1,2} [ \\t]{0,20}', needs: [] },
  hex: { body: "[0-9a-fA-F]", needs: [] },
  // No half of a surrogate pair: it is no character.
  escape: { body: '"\\\\" (["\\\\/bfnrt] | "u" ([0-9a-ce-fA-CE-F] hex | [dD] [0-7]) hex hex)', needs: ["hex"] },
  char: { body: '[^"\\\\\\x7F\\x00-\\x1F] | escape', needs: ["escape"] },
  string: { body: '"\\"" char* "\\""', needs: ["char"] },
  whole: { body: '"0" | [1-9] [0-9]{0,15}', needs: [] },
  integer: { body: '"-"? whole', needs: ["whole"] },
  number: { body: '"-"? whole ("." [0-9]{1,16})? ([eE] [-+]? [0-9] [0-9]?)?', needs: ["whole"] },
  boolean: { body: '"true" | "false"', needs: [] },
  null: { body: '"null"', needs: [] },
  pair: { body: 'string ":" sp value', needs: ["string", "sp", "value"] },
  object: { body: '"{" ws (pair ("," ws pair)* ws)? "}"', needs: ["pair", "ws"] },
  array: { body: '"[" ws (value ("," ws value)* ws)? "]"', needs: ["value", "ws"] },
  value: {
    body: "object | array | string | number | boolean | null",
    needs: ["object", "array", "string", "number", "boolean", "null"],
  },
};

/** Names of the rules that are there without being added. */
export type Primitive =
  | "sp"
  | "ws"
  | "char"
  | "string"
  | "whole"
  | "integer"
  | "number"
  | "boolean"
  | "null"
  | "object"
  | "array"
  | "value";

/** The rules of a grammar in llama.cpp's notation GBNF. Equal rules are one. What is too large is refused. */
export class GrammarRules {
  readonly #bodies = new Map<string, string>();
  readonly #names = new Map<string, string>();
  #characters = 0;
  #repetitions = 0;
  #count = 0;

  /** The name of a rule that is always there. */
  primitive(name: Primitive): string {
    this.#need(name);
    return name;
  }

  /** Adds a rule, and returns its name. */
  add(body: string): string {
    const known = this.#names.get(body);
    if (known !== undefined) return known;
    const name = this.reserve();
    this.#names.set(body, name);
    this.set(name, body);
    return name;
  }

  /** A name for a rule that comes later, since it speaks of itself. */
  reserve(): string {
    return `r${this.#count++}`;
  }

  /**
   * Says what a name stands for.
   *
   * @throws {ArkError} `bad_request` where the grammar becomes too large.
   */
  set(name: string, body: string): void {
    this.#characters += name.length + body.length;
    if (this.#bodies.size >= MOST_RULES || this.#characters > MOST_CHARACTERS) {
      throw new ArkError("bad_request", "The schema makes too large a grammar; make it simpler");
    }
    this.#bodies.set(name, body);
  }

  /**
   * A name or a group that is repeated; `most` is null where there is no end.
   *
   * @throws {ArkError} `bad_request` where there are too many repetitions.
   */
  repeat(what: string, least: number, most: number | null): string {
    this.#repetitions += Math.max(least, most ?? 0);
    if (Math.max(least, most ?? 0) > MOST_REPEATED || this.#repetitions > MOST_REPETITIONS) {
      throw new ArkError(
        "bad_request",
        `The schema counts too far: lengths and numbers of items may be up to ${MOST_REPEATED}`,
      );
    }
    if (most === null) return least === 0 ? `${what}*` : least === 1 ? `${what}+` : `${what}{${least},}`;
    return `${what}{${least},${most}}`;
  }

  /** The grammar, which begins with a rule. */
  text(root: string): string {
    return [["root", root], ...this.#bodies].map(([name, body]) => `${name} ::= ${body}\n`).join("");
  }

  #need(name: string): void {
    const primitive = PRIMITIVES[name];
    if (primitive === undefined || this.#bodies.has(name)) return;
    this.set(name, primitive.body);
    for (const other of primitive.needs) this.#need(other);
  }
}

/** A text as GBNF writes it. */
export function literal(text: string): string {
  return `"${escaped(text, /[^]/gu, /["\\]/)}"`;
}

/** Characters as they stand within the brackets of a class. */
export function classCharacters(text: string): string {
  return escaped(text, /[^]/gu, /[\]\\[^"-]/);
}

function escaped(text: string, each: RegExp, special: RegExp): string {
  return text.replace(each, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (character === "\n") return "\\n";
    if (code < 0x20 || code === 0x7f || character === "-" && special.test("-")) {
      return `\\x${code.toString(16).padStart(2, "0")}`;
    }
    if (character === "^" && special.test("^")) return "\\x5e";
    return special.test(character) ? `\\${character}` : character;
  });
}
