import type { TokenLogprob } from "@ark/node/protocol";

/** Keeps how likely tokens were until their text is shown; what is part of a syntax or a stop text never is. */
export class TokenChances {
  /** Tokens that wait, in order; null stands for the rest of a token that was told. */
  #waiting: { chance: TokenLogprob | null; text: string }[] = [];
  #used = false;

  /** Takes a token, null where it was told elsewhere, and the text that became complete with it: none in the midst of a character. */
  push(chance: TokenLogprob | null, text: string): void {
    this.#used = true;
    this.#waiting.push({ chance, text });
  }

  /** The tokens of a text that is shown now, each told once; or null where no token was ever given. */
  take(text: string): TokenLogprob[] | null {
    if (!this.#used) return null;
    const start = Math.max(0, this.#waiting.map((each) => each.text).join("").indexOf(text));
    const end = start + text.length;
    const taken: TokenLogprob[] = [];
    let at = 0;
    while (at < end) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      // A token without text of its own belongs to the character that the next ones complete.
      const shown = at >= start || at + next.text.length > start;
      if (shown && next.chance !== null) taken.push(next.chance);
      at += next.text.length;
      if (at > end) this.#waiting.unshift({ chance: null, text: next.text.slice(end - at) });
    }
    return taken;
  }
}
