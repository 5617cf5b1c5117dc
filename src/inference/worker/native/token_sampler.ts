import type { Grammar } from "./grammar.ts";
import type { Candidates } from "./candidates.ts";
import type { Libraries } from "./libraries.ts";

/** What one answer's tokens are chosen with. */
export interface TokenSamplerOptions {
  /** llama.cpp's samplers. */
  chain: Deno.PointerValue;
  /** What the answer may look like, or null. */
  grammar: Grammar | null;
  /** The tokens that are left to choose from, where there is a grammar. */
  candidates: Candidates;
  /** The context that computed. */
  context: Deno.PointerValue;
  /** Whether a token ends an answer. */
  isEnd: (token: number) => boolean;
}

/** Chooses the tokens of one answer. */
export class TokenSampler {
  readonly #libraries: Libraries;
  readonly #options: TokenSamplerOptions;

  /** Takes over samplers and grammar. */
  constructor(libraries: Libraries, options: TokenSamplerOptions) {
    this.#libraries = libraries;
    this.#options = options;
  }

  /** Chooses the token after that with this place in the batch; null where the grammar allows none at all. */
  sample(index: number): number | null {
    const { chain, grammar, context } = this.#options;
    const { llama } = this.#libraries;
    if (grammar === null) return llama.llama_sampler_sample(chain, context, index);
    const token = grammar.sampler === null ? this.#choose(index, null) : this.#choose(index, grammar.sampler);
    if (token === null) return null;
    llama.llama_sampler_accept(chain, token);
    if (!this.#options.isEnd(token)) grammar.accept(token);
    return token;
  }

  /** Takes a token that was chosen before; false where the answer may not have it. */
  accept(token: number): boolean {
    return this.#options.grammar?.accept(token) ?? true;
  }

  /** Frees all it was made of. */
  free(): void {
    this.#options.grammar?.free();
    this.#libraries.llama.llama_sampler_free(this.#options.chain);
  }

  /** Asks the grammar about the chosen token first, since that is nearly always allowed, and only then about all. */
  #choose(index: number, grammar: Deno.PointerValue): number | null {
    const { chain, candidates, context } = this.#options;
    candidates.read(this.#libraries.llama.llama_get_logits_ith(context, index));
    candidates.fill();
    candidates.apply(chain);
    const first = candidates.chosen;
    if (grammar === null || (first !== null && candidates.allows(grammar, first))) return first;
    candidates.fill();
    candidates.apply(grammar);
    candidates.apply(chain);
    return candidates.chosen;
  }
}
