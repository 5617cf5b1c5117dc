/** Text that comes in pieces, in which some texts are looked for: what could be the beginning of one waits. */
export class HeldText {
  #text = "";

  /** Adds a piece. */
  add(piece: string): void {
    this.#text += piece;
  }

  /** What waits. */
  get text(): string {
    return this.#text;
  }

  /** Takes so many UTF-16 units from the front. */
  take(length: number): string {
    const taken = this.#text.slice(0, length);
    this.#text = this.#text.slice(length);
    return taken;
  }

  /** The first of some texts: which one, and where; of two at the same place, the longer one. */
  find(texts: readonly string[]): { at: number; text: string } | null {
    let found: { at: number; text: string } | null = null;
    for (const text of texts) {
      const at = this.#text.indexOf(text);
      if (at < 0) continue;
      if (found === null || at < found.at || (at === found.at && text.length > found.text.length)) found = { at, text };
    }
    return found;
  }

  /** How much from the front cannot be part of any of some texts that is still to come. */
  certain(texts: readonly string[]): number {
    let held = 0;
    for (const text of texts) {
      for (let length = Math.min(text.length - 1, this.#text.length); length > held; length--) {
        if (this.#text.endsWith(text.slice(0, length))) held = length;
      }
    }
    return this.#text.length - held;
  }
}
