import { ArkError } from "@ark/node/protocol";
import type { LlamaGrammarEvaluationState, LlamaModel, Token } from "node-llama-cpp";
import { isBounded } from "./native/grammar.ts";
import type { AnswerGrammar } from "./prepare.ts";

/** The part of the addon that moves a grammar on without choosing a token. */
interface GrammarBinding {
  canBeNextTokenForGrammarEvaluationState(state: unknown, token: number): boolean;
  acceptGrammarEvaluationStateToken(state: unknown, token: number): void;
}

/**
 * What one answer may look like, for the addon. A lazy grammar waits until the answer has one of its triggers, and then
 * holds from that text on; where the rest of the token that completed it does not fit, it is left out.
 */
export class AddonGrammar {
  readonly #model: LlamaModel;
  readonly #fresh: LlamaGrammarEvaluationState;
  readonly #triggers: readonly string[];
  #state: LlamaGrammarEvaluationState | undefined;
  #waiting: boolean;
  /** What may be the beginning of a trigger. */
  #tail = "";

  private constructor(model: LlamaModel, fresh: LlamaGrammarEvaluationState, triggers: readonly string[] | null) {
    this.#model = model;
    this.#fresh = fresh;
    this.#triggers = (triggers ?? []).filter((text) => text !== "");
    this.#waiting = triggers !== null;
    this.#state = this.#waiting ? undefined : fresh;
  }

  /**
   * Reads a grammar.
   *
   * @throws {ArkError} `bad_request` where it cannot be read.
   */
  static async read(model: LlamaModel, { gbnf, triggers }: AnswerGrammar): Promise<AddonGrammar> {
    const { LlamaGrammarEvaluationState } = await import("node-llama-cpp");
    try {
      if (!isBounded(gbnf)) throw new RangeError("The grammar is too large");
      const grammar = await model.llama.createGrammar({ grammar: gbnf });
      return new AddonGrammar(model, new LlamaGrammarEvaluationState({ model, grammar }), triggers);
    } catch {
      throw new ArkError(
        "bad_request",
        "The grammar cannot be read, or is too large; it must be GBNF with a rule root",
      );
    }
  }

  /** What holds for the next token, or undefined while the model is free. */
  readonly state = (): LlamaGrammarEvaluationState | undefined => this.#state;

  /** Takes a token of the answer, before the next one is chosen; while the grammar holds, the addon has seen to that. */
  see(token: Token): void {
    if (!this.#waiting) return;
    const withControlTokens = true;
    this.#tail += this.#model.detokenize([token], withControlTokens);
    const found = this.#triggers.map((text) => this.#tail.indexOf(text)).filter((at) => at >= 0);
    if (found.length === 0) {
      const longest = Math.max(0, ...this.#triggers.map(({ length }) => length - 1));
      this.#tail = longest === 0 ? "" : this.#tail.slice(-longest);
      return;
    }
    this.#waiting = false;
    if (this.#fits(this.#tail.slice(Math.min(...found)))) this.#state = this.#fresh;
  }

  /** Takes a token that was written before; false where the grammar holds already, and does not allow the token. */
  replay(token: Token): boolean {
    if (this.#state !== undefined) return this.#accept(token);
    this.see(token);
    return true;
  }

  /** Moves the grammar over a text, where that is possible. */
  #fits(text: string): boolean {
    const markup = true;
    const tokens = this.#model.tokenize(text, markup, "trimLeadingSpace");
    if (tokens.map((token) => this.#model.detokenize([token], markup)).join("") !== text) return false;
    return tokens.every((token) => this.#accept(token));
  }

  #accept(token: Token): boolean {
    const { AddonSampler } =
      (this.#model.llama as unknown as { _bindings: { AddonSampler: GrammarBinding } })._bindings;
    const { _state } = this.#fresh as unknown as { _state: unknown };
    if (!AddonSampler.canBeNextTokenForGrammarEvaluationState(_state, token)) return false;
    AddonSampler.acceptGrammarEvaluationStateToken(_state, token);
    return true;
  }
}
