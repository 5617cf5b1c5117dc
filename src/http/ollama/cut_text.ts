/** What {@linkcode cutText} goes by. */
export interface CutTextOptions {
  /** Most tokens that are left. */
  limit: number;
  /** Counts the tokens of a text, as the model does; infinity where they are too many to be counted. */
  count(text: string): Promise<number>;
  /** Most texts that are counted. @default {16} */
  tries?: number;
}

/**
 * The longest beginning of a text that has no more tokens than a limit, within some tries: never more tokens than that,
 * and a little fewer where the tries do not suffice. A character is never cut in two.
 */
export async function cutText(text: string, { limit, count, tries = 16 }: CutTextOptions): Promise<string> {
  const all = await count(text);
  if (all <= limit) return text;
  let fits = { at: 0, tokens: 0 };
  let over = { at: text.length, tokens: all };
  for (let left = tries - 1; left > 0 && fits.tokens < limit && over.at - fits.at > 1; left--) {
    // Where tokens are spread evenly the guess meets at once; halving sees to it that it comes nearer in any case.
    const guess = left % 3 === 0 ? (fits.at + over.at) / 2 : guessed({ fits, over, limit });
    const at = Math.min(over.at - 1, Math.max(fits.at + 1, Math.floor(guess)));
    const tokens = await count(whole(text, at));
    if (tokens <= limit) fits = { at, tokens };
    else over = { at, tokens };
  }
  return whole(text, fits.at);
}

interface Bound {
  at: number;
  tokens: number;
}

function guessed({ fits, over, limit }: { fits: Bound; over: Bound; limit: number }): number {
  if (over.tokens < Infinity) {
    return fits.at + (over.at - fits.at) * (limit - fits.tokens) / Math.max(1, over.tokens - fits.tokens);
  }
  return fits.tokens > 0 ? fits.at / fits.tokens * limit : Math.min(over.at / 2, limit);
}

/** The beginning of a text, without half a character at its end. */
function whole(text: string, at: number): string {
  const last = text.charCodeAt(at - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? at - 1 : at);
}
