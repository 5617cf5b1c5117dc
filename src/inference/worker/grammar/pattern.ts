import { classCharacters, type GrammarRules, literal } from "./grammar_rules.ts";

/** Characters that a JSON string cannot have as they are. */
const NEVER = '"\\\\\\x7F\\x00-\\x1F';
const ANY = `[^${NEVER}]`;
/** Longest pattern, in characters, and how deep its groups may be. */
const MOST_PATTERN = 2_000;
const MOST_DEPTH = 20;

const SHORTHANDS: Record<string, string> = { d: "0-9", w: "a-zA-Z0-9_", s: " " };

/**
 * A regular expression as a GBNF expression for what stands between the quotes of a JSON string, or null where it says
 * what a grammar cannot: what is around or behind (lookaround, `\b`, back references), or characters that JSON escapes.
 */
export function patternGrammar(pattern: string, rules: GrammarRules): string | null {
  if (pattern.length > MOST_PATTERN) return null;
  try {
    return new PatternReader(pattern, rules).read();
  } catch (error) {
    if (error instanceof Untranslatable) return null;
    throw error;
  }
}

class Untranslatable extends Error {}

class PatternReader {
  readonly #characters: string[];
  readonly #rules: GrammarRules;
  #at = 0;

  constructor(pattern: string, rules: GrammarRules) {
    this.#characters = [...pattern];
    this.#rules = rules;
  }

  read(): string {
    const body = this.#alternatives(0);
    if (this.#at < this.#characters.length) throw new Untranslatable();
    return body;
  }

  #alternatives(depth: number): string {
    if (depth > MOST_DEPTH) throw new Untranslatable();
    const alternatives = [this.#sequence(depth)];
    while (this.#take("|")) alternatives.push(this.#sequence(depth));
    return alternatives.join(" | ");
  }

  /** One alternative; at the outside, what is not anchored may have anything before and after it. */
  #sequence(depth: number): string {
    const outside = depth === 0;
    const items: string[] = [];
    const begins = outside && this.#take("^");
    let ends = false;
    while (this.#at < this.#characters.length && !this.#sees("|") && !this.#sees(")")) {
      if (outside && this.#take("$")) {
        ends = true;
        break;
      }
      items.push(this.#quantified(this.#atom(depth)));
    }
    if (outside && !begins) items.unshift(`${ANY}*`);
    if (outside && !ends) items.push(`${ANY}*`);
    return items.length === 0 ? '""' : items.join(" ");
  }

  #atom(depth: number): string {
    const character = this.#next();
    switch (character) {
      case "(": {
        if (this.#take("?") && !this.#take(":")) {
          if (!this.#take("<") || this.#sees("=") || this.#sees("!")) throw new Untranslatable();
          while (!this.#take(">")) this.#next();
        }
        const group = this.#alternatives(depth + 1);
        if (!this.#take(")")) throw new Untranslatable();
        return `(${group})`;
      }
      case "[":
        return this.#class();
      case ".":
        return ANY;
      case "\\": {
        const { set, negated } = this.#escape();
        return negated ? `[^${set}${NEVER}]` : set.length === 1 ? literal(set) : `[${set}]`;
      }
      case "^":
      case "$":
      case "*":
      case "+":
      case "?":
      case "{":
      case ")":
        throw new Untranslatable();
    }
    return literal(plain(character));
  }

  #quantified(atom: string): string {
    let quantified = atom;
    if (this.#take("*")) quantified += "*";
    else if (this.#take("+")) quantified += "+";
    else if (this.#take("?")) quantified += "?";
    else if (this.#take("{")) {
      const least = this.#number();
      const open = this.#take(",");
      const most = open && this.#sees("}") ? null : open ? this.#number() : least;
      if (!this.#take("}") || (most !== null && most < least)) throw new Untranslatable();
      quantified = this.#rules.repeat(atom, least, most);
    } else return atom;
    // Whether a repetition takes much or little makes no difference to what matches.
    this.#take("?");
    return quantified;
  }

  #class(): string {
    const negated = this.#take("^");
    let set = "";
    while (!this.#take("]")) {
      const character = this.#next();
      const low = character === "\\" ? this.#escape() : { set: classCharacters(plain(character)), negated: false };
      if (low.negated) throw new Untranslatable();
      set += low.set;
      if (this.#sees("-") && this.#characters[this.#at + 1] !== "]") {
        this.#next();
        const end = this.#next();
        const high = end === "\\" ? this.#escape() : { set: classCharacters(plain(end)), negated: false };
        // A range that has a quote or a backslash in its midst would let one out.
        const [from, to] = [character, end].map((each) => each.codePointAt(0) ?? 0);
        if (high.negated || character === "\\" || end === "\\" || from === undefined || to === undefined || from > to) {
          throw new Untranslatable();
        }
        if ([0x22, 0x5c, 0x7f].some((code) => from <= code && code <= to)) throw new Untranslatable();
        set += `-${high.set}`;
      }
    }
    if (set === "" && !negated) throw new Untranslatable();
    return negated ? `[^${set}${NEVER}]` : `[${set}]`;
  }

  /** What follows a backslash, as it stands within the brackets of a class. */
  #escape(): { set: string; negated: boolean } {
    const character = this.#next();
    const short = SHORTHANDS[character.toLowerCase()];
    if (short !== undefined) return { set: short, negated: character !== character.toLowerCase() };
    if (/[a-zA-Z0-9]/.test(character)) throw new Untranslatable();
    return { set: classCharacters(plain(character)), negated: false };
  }

  #number(): number {
    let text = "";
    while (/^[0-9]$/.test(this.#characters[this.#at] ?? "")) text += this.#next();
    if (text === "" || text.length > 4) throw new Untranslatable();
    return Number(text);
  }

  #sees(character: string): boolean {
    return this.#characters[this.#at] === character;
  }

  #take(character: string): boolean {
    const there = this.#sees(character);
    if (there) this.#at++;
    return there;
  }

  #next(): string {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw new Untranslatable();
    return character;
  }
}

/** A character that stands for itself in a JSON string. */
function plain(character: string): string {
  if (/^["\\\p{Cc}]$/u.test(character)) throw new Untranslatable();
  return character;
}
