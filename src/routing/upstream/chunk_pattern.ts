const ENCODER = new TextEncoder();
const ASCII = /^[\x20-\x7e]*$/;
const QUOTE = 34;
const BACKSLASH = 92;
const LONG = 64;

/** Reads the text of a chunk in full: of one that says nothing but a piece of text, that text, else null. */
export type PlainTextOf = (data: string) => string | null;

/** After so many patterns that did not last a stream is read without. */
const MOST_PATTERNS = 32;
/** What a text in JSON is spelt without, where it is spelt as it is. */
// deno-lint-ignore no-control-regex
const SPECIAL = /["\\\u0000-\u001f]/;

/**
 * Knows what the chunks of one stream have in common: most servers send the same JSON again and again, but for one text in
 * it. A line that has the same begin and the same end, with one JSON string between them, needs no parser: it says what
 * the parser would, since nothing but the value of that string differs from a line that was parsed.
 */
export class ChunkPattern {
  readonly #read: PlainTextOf;
  #before = "";
  #after = "";
  #beforeBytes: Uint8Array | null = null;
  #afterBytes: Uint8Array | null = null;
  #known = false;
  #learnt = 0;

  /** Begins without a pattern. */
  constructor(read: PlainTextOf) {
    this.#read = read;
  }

  /** The text of a line that is like those before, or null. */
  match(data: string): string | null {
    if (!this.#known) return null;
    const [before, after] = [this.#before, this.#after];
    const end = data.length - after.length;
    if (end <= before.length || !data.startsWith(before) || !data.endsWith(after)) return null;
    const text = data.slice(before.length, end);
    if (!SPECIAL.test(text)) return text;
    try {
      // A quote that ends the string in the middle, and whatever else no string may have, is no JSON here either.
      const value: unknown = JSON.parse(`"${text}"`);
      return value === "" || typeof value !== "string" ? null : value;
    } catch {
      return null;
    }
  }

  /**
   * Reads the event that begins at `from`, a line like those before and an empty one, without making text of it. Null
   * where it is anything else, or has not come as a whole.
   */
  matchBytes(bytes: Uint8Array, from: number): { text: string; next: number } | null {
    const [before, after] = [this.#beforeBytes, this.#afterBytes];
    if (before === null || after === null || !has(bytes, before, from)) return null;
    let end = from + before.length;
    let text = "";
    for (;; end++) {
      const byte = bytes[end];
      if (byte === QUOTE) break;
      // What is spelt with escapes or is no ASCII is read as text; so is what is longer than a token.
      if (byte === undefined || byte < 32 || byte === BACKSLASH || byte > 126 || text.length >= LONG) return null;
      text += String.fromCharCode(byte);
    }
    return text === "" || !has(bytes, after, end) ? null : { text, next: end + after.length };
  }

  /** Takes note of a line that was read in full and says `text`, and nothing else. */
  learn(data: string, text: string): void {
    if (this.#learnt >= MOST_PATTERNS) return;
    const spelt = JSON.stringify(text);
    const at = data.indexOf(spelt);
    if (at < 0 || at !== data.lastIndexOf(spelt)) return;
    this.#learnt++;
    this.#before = data.slice(0, at + 1);
    this.#after = data.slice(at + spelt.length - 1);
    // That string may stand where it says nothing: another text in its place must be what the line then says.
    const probe = `${text.length}p`;
    this.#known = this.#read(`${this.#before}${probe}${this.#after}`) === probe;
    const plain = this.#known && ASCII.test(this.#before) && ASCII.test(this.#after);
    this.#beforeBytes = plain ? ENCODER.encode(`data: ${this.#before}`) : null;
    this.#afterBytes = plain ? ENCODER.encode(`${this.#after}\n\n`) : null;
  }
}

function has(bytes: Uint8Array, part: Uint8Array, at: number): boolean {
  for (let index = 0; index < part.length; index++) if (bytes[at + index] !== part[index]) return false;
  return true;
}
