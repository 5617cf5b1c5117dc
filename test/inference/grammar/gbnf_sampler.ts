/** Reads llama.cpp's notation for grammars and writes texts that a grammar allows, for tests. */

type Item =
  | { kind: "text"; text: string }
  | { kind: "class"; negated: boolean; ranges: [number, number][] }
  | { kind: "rule"; name: string }
  | { kind: "group"; alternatives: Item[][] }
  | { kind: "repeat"; item: Item; least: number; most: number };

/** How many more times than needed something is repeated. */
const MORE = 3;
/** Characters that classes with `^` are tried with. */
const OTHERS = 'a Z0é漢😀<>-_{}:,/|]["\\\n';

/** A grammar that can be sampled. */
export class GbnfSampler {
  readonly #rules = new Map<string, Item[][]>();
  /** How many rules deep a rule is at least. */
  readonly #depths = new Map<string, number>();
  #budget = 0;
  #random: () => number = () => 0;

  /** Reads a grammar; throws where it is none. */
  constructor(text: string) {
    for (const line of text.split("\n").filter(Boolean)) {
      const [, name, body] = /^([\w-]+) ::= (.*)$/.exec(line) ?? [];
      if (name === undefined || body === undefined) throw new SyntaxError(`No rule: ${line}`);
      if (this.#rules.has(name)) throw new SyntaxError(`Twice: ${name}`);
      this.#rules.set(name, new Reader(body).all());
    }
    for (let changed = true; changed;) {
      changed = false;
      for (const [name, alternatives] of this.#rules) {
        const depth = 1 + Math.min(...alternatives.map((items) => this.#depth(items)));
        if (depth < (this.#depths.get(name) ?? Infinity)) {
          this.#depths.set(name, depth);
          changed = true;
        }
      }
    }
    if (!this.#depths.has("root")) throw new SyntaxError("Nothing can be written");
  }

  /** A text; `random` gives numbers from 0 to 1. */
  sample(random: () => number): string {
    this.#random = random;
    this.#budget = 300;
    return this.#rule("root");
  }

  #depth(items: Item[]): number {
    return Math.max(0, ...items.map((item) => this.#itemDepth(item)));
  }

  #itemDepth(item: Item): number {
    if (item.kind === "rule") {
      if (!this.#rules.has(item.name)) throw new SyntaxError(`No such rule: ${item.name}`);
      return this.#depths.get(item.name) ?? Infinity;
    }
    if (item.kind === "group") return Math.min(...item.alternatives.map((items) => this.#depth(items)));
    if (item.kind === "repeat") return item.least === 0 ? 0 : this.#itemDepth(item.item);
    return 0;
  }

  #rule(name: string): string {
    return this.#alternatives(this.#rules.get(name) ?? []);
  }

  #alternatives(alternatives: Item[][]): string {
    let allowed = alternatives.filter((items) => this.#depth(items) < Infinity);
    // Once enough was written, the shortest way to the end.
    if (this.#budget-- <= 0) {
      const least = Math.min(...allowed.map((items) => this.#depth(items)));
      allowed = allowed.filter((items) => this.#depth(items) === least);
    }
    return (allowed[Math.floor(this.#random() * allowed.length)] ?? []).map((item) => this.#item(item)).join("");
  }

  #item(item: Item): string {
    switch (item.kind) {
      case "text":
        return item.text;
      case "rule":
        return this.#rule(item.name);
      case "group":
        return this.#alternatives(item.alternatives);
      case "class": {
        const { negated, ranges } = item;
        const inside = (code: number) => ranges.some(([from, to]) => from <= code && code <= to);
        const codes = negated
          ? [...OTHERS].map((character) => character.codePointAt(0) ?? 0).filter((code) => !inside(code))
          : ranges.map(([from, to]) => from + Math.floor(this.#random() * (to - from + 1)));
        return String.fromCodePoint(codes[Math.floor(this.#random() * codes.length)] ?? 0x61);
      }
      case "repeat": {
        const room = this.#budget > 0 && this.#itemDepth(item.item) < Infinity ? MORE : 0;
        const most = Math.min(item.most, item.least + room);
        const count = item.least + Math.floor(this.#random() * (most - item.least + 1));
        return Array.from({ length: count }, () => this.#item(item.item)).join("");
      }
    }
  }
}

class Reader {
  #at = 0;
  readonly #text: string[];

  constructor(text: string) {
    this.#text = [...text];
  }

  all(): Item[][] {
    const read = this.#alternatives();
    if (this.#at < this.#text.length) throw new SyntaxError(`Unread: ${this.#text.slice(this.#at).join("")}`);
    return read;
  }

  #alternatives(): Item[][] {
    const alternatives: Item[][] = [[]];
    for (;;) {
      while (this.#text[this.#at] === " ") this.#at++;
      const character = this.#text[this.#at];
      if (character === undefined || character === ")") return alternatives;
      if (character === "|") {
        this.#at++;
        alternatives.push([]);
      } else alternatives.at(-1)?.push(this.#repeated(this.#item()));
    }
  }

  #item(): Item {
    const character = this.#text[this.#at++];
    if (character === '"') {
      let text = "";
      while (this.#text[this.#at] !== '"') text += this.#character();
      this.#at++;
      return { kind: "text", text };
    }
    if (character === "[") return this.#class();
    if (character === "(") {
      const alternatives = this.#alternatives();
      if (this.#text[this.#at++] !== ")") throw new SyntaxError("A group has no end");
      return { kind: "group", alternatives };
    }
    let name = character ?? "";
    while (/^[\w-]$/.test(this.#text[this.#at] ?? "")) name += this.#text[this.#at++];
    if (!/^[\w-]+$/.test(name)) throw new SyntaxError(`No item: ${name}`);
    return { kind: "rule", name };
  }

  #class(): Item {
    const negated = this.#text[this.#at] === "^";
    if (negated) this.#at++;
    const ranges: [number, number][] = [];
    while (this.#text[this.#at] !== "]") {
      const from = this.#character().codePointAt(0) ?? 0;
      let to = from;
      if (this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]") {
        this.#at++;
        to = this.#character().codePointAt(0) ?? 0;
      }
      if (from > to) throw new SyntaxError("A range is the wrong way round");
      ranges.push([from, to]);
    }
    this.#at++;
    return { kind: "class", negated, ranges };
  }

  #repeated(item: Item): Item {
    const character = this.#text[this.#at];
    const simple = { "*": [0, Infinity], "+": [1, Infinity], "?": [0, 1] }[character ?? ""];
    if (simple !== undefined) {
      this.#at++;
      return { kind: "repeat", item, least: simple[0] ?? 0, most: simple[1] ?? 0 };
    }
    const rest = this.#text.slice(this.#at).join("");
    const [all, least, comma, most] = /^\{(\d+)(,?)(\d*)\}/.exec(rest) ?? [];
    if (all === undefined) return item;
    this.#at += all.length;
    const to = most !== "" && most !== undefined ? Number(most) : comma === "" ? Number(least) : Infinity;
    return { kind: "repeat", item, least: Number(least), most: to };
  }

  #character(): string {
    const character = this.#text[this.#at++];
    if (character === undefined) throw new SyntaxError("A text has no end");
    if (character !== "\\") return character;
    const escaped = this.#text[this.#at++] ?? "";
    if (escaped === "x") {
      const code = this.#text.slice(this.#at, this.#at += 2).join("");
      return String.fromCodePoint(Number.parseInt(code, 16));
    }
    const known = { n: "\n", t: "\t", r: "\r", "\\": "\\", '"': '"', "[": "[", "]": "]" }[escaped];
    if (known === undefined) throw new SyntaxError(`No escape: ${escaped}`);
    return known;
  }
}
