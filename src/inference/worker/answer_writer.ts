import type { AnswerPart, FinishReason, GenerationParameters, TokenLogprob } from "@ark/node/protocol";
import { type Detokenize, Detokenizer } from "./detokenizer.ts";
import type { AnswerReader, AnswerShapePart, PreparedAnswer } from "./prepare.ts";
import { StopFilter } from "./stop_filter.ts";
import { TokenChances } from "./token_chances.ts";

/** Tokens back that penalties look where nothing is said, as in llama.cpp and Ollama. */
export const PENALTY_TOKENS = 64;

/** Options of {@linkcode AnswerWriter}. */
export interface AnswerWriterOptions {
  /** Turns tokens into text; control tokens have none. */
  detokenize: Detokenize;
  /** What is answered. */
  prepared: PreparedAnswer;
  /** How it is answered: stop texts, and how far penalties look back. */
  parameters: GenerationParameters;
}

/**
 * Turns tokens into parts of an answer: text of tokens, stop texts, reader, in this order. Also remembers the tokens
 * that penalties look at.
 */
export class AnswerWriter {
  /** The last tokens of prompt and answer, as many as penalties look back. */
  readonly recent: number[];
  /** Tokens so far. */
  count = 0;
  readonly #preserved: ReadonlyMap<number, string>;
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopFilter;
  readonly #own: ReadonlySet<string>;
  readonly #reader: AnswerReader;
  readonly #lookBack: number;
  readonly #chances = new TokenChances();
  #told = 0;
  #stopped = false;

  /** Begins an answer. */
  constructor({ detokenize, prepared, parameters }: AnswerWriterOptions) {
    const { stop = [], repeat_last_n = PENALTY_TOKENS } = parameters;
    this.#lookBack = repeat_last_n;
    this.recent = repeat_last_n === 0 ? [] : prepared.tokens.slice(-repeat_last_n);
    this.#preserved = prepared.preserved;
    this.#detokenizer = new Detokenizer(detokenize, prepared.tokens);
    this.#stops = new StopFilter([...stop, ...prepared.stop]);
    this.#own = new Set(stop);
    this.#reader = prepared.reader();
  }

  /** The stop text of the request that ended the answer, or undefined. */
  get stopText(): string | undefined {
    const { found } = this.#stops;
    return found !== undefined && this.#own.has(found) ? found : undefined;
  }

  /**
   * Takes a token, and how likely it was where that is wanted. Returns what may be shown now; after `stopped` the
   * answer is over, and the token was the last one.
   */
  push(token: number, chance?: TokenLogprob): { parts: AnswerPart[]; stopped: boolean } {
    this.count++;
    this.recent.push(token);
    if (this.recent.length > this.#lookBack) this.recent.shift();
    const preserved = this.#preserved.get(token);
    const written = preserved === undefined ? this.#detokenizer.push(token) : this.#detokenizer.flush() + preserved;
    if (chance !== undefined) this.#chances.push(chance, written);
    const { text, stopped } = this.#stops.push(written);
    const shapes = this.#reader.push(text);
    this.#stopped = stopped || this.#reader.ended;
    return { parts: this.#counted(shapes), stopped: this.#stopped };
  }

  /** What was held back, where no more comes. */
  flush(): AnswerPart[] {
    const shapes: AnswerShapePart[] = [];
    if (!this.#stopped) {
      const { text, stopped } = this.#stops.push(this.#detokenizer.flush());
      shapes.push(...this.#reader.push(stopped ? text : text + this.#stops.flush()));
    }
    shapes.push(...this.#reader.flush());
    return this.#counted(shapes);
  }

  /** Why the answer ended, given why the engine stopped. */
  finishReason(reason: FinishReason): FinishReason {
    return this.#reader.called && reason === "stop" ? "tool_calls" : reason;
  }

  /** Tokens that were held back count with the part that ends their waiting. */
  #counted(shapes: readonly AnswerShapePart[]): AnswerPart[] {
    return shapes.map((shape, index) => {
      const tokens = index === 0 ? this.count - this.#told : 0;
      this.#told = this.count;
      if (shape.type !== "text") return { ...shape, tokens };
      const logprobs = this.#chances.take(shape.text);
      return { ...shape, tokens, ...logprobs === null ? {} : { logprobs } };
    });
  }
}
