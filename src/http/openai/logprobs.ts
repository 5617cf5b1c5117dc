import type { TokenChance, TokenLogprob } from "@ark/node/protocol";

/** How likely tokens were, as a chat tells it. */
export function chatLogprobs(told: readonly TokenLogprob[]): object {
  return {
    content: told.map(({ top, ...chance }) => ({ ...chanceOf(chance), top_logprobs: top.map(chanceOf) })),
    refusal: null,
  };
}

function chanceOf({ token, logprob, bytes }: TokenChance): object {
  return { token, logprob, bytes };
}

/** Tells how likely the tokens of a completion were, in its older lists, of which each goes on where the last one ended. */
export class CompletionLogprobs {
  #offset: number;

  /** Begins at so many characters of the answer. */
  constructor(offset: number) {
    this.#offset = offset;
  }

  /** The lists for some tokens. Among the likely ones is always the one that was written, as OpenAI has it. */
  of(told: readonly TokenLogprob[]): object {
    const text_offset = told.map(({ token }) => {
      const at = this.#offset;
      this.#offset += lengthOf(token);
      return at;
    });
    return {
      tokens: told.map(({ token }) => token),
      token_logprobs: told.map(({ logprob }) => logprob),
      top_logprobs: told.map(({ token, logprob, top }) =>
        Object.fromEntries([...top.map((one) => [one.token, one.logprob]), [token, logprob]])
      ),
      text_offset,
    };
  }
}

/** Characters as most languages count them, which is not how this one does. */
export function lengthOf(text: string): number {
  return [...text].length;
}
