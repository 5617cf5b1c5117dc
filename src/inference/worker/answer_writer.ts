import {
  type AnswerPart,
  type FinishReason,
  type GenerationParameters,
  LIMITS,
  type TokenLogprob,
} from "@ark/node/protocol";
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
  /** Whether parts tell the ids of their tokens. */
  ids?: boolean;
}

/**
 * Turns tokens into parts of an answer: text of tokens, stop texts, reader, in this order. Also remembers the tokens
 * that penalties look at.
 *
 * Its state depends on the tokens alone, and where a token completes several parts, the last of them counts it. So who
 * has the ids of some parts in a row can go on from there with {@linkcode AnswerWriter.replay}: all that those tokens
 * say was in these parts, and nothing of what follows. A part without ids belongs to a later token, or to the very end of the
 * answer, from where nobody goes on.
 */
export class AnswerWriter {
  /** The last tokens of prompt and answer, as many as penalties look back. */
  readonly recent: number[];
  /** Tokens so far, without those that were replayed. */
  count = 0;
  readonly #preserved: ReadonlyMap<number, string>;
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopFilter;
  readonly #own: ReadonlySet<string>;
  readonly #reader: AnswerReader;
  readonly #lookBack: number;
  readonly #chances = new TokenChances();
  #told = 0;
  /** Ids of the tokens that no part has counted yet, or null where they are not wanted. */
  #untold: number[] | null;
  readonly #logprobs: boolean;
  #stopped = false;

  /** Begins an answer. */
  constructor({ detokenize, prepared, parameters, ids = false }: AnswerWriterOptions) {
    const { stop = [], repeat_last_n = PENALTY_TOKENS, logprobs } = parameters;
    this.#untold = ids ? [] : null;
    this.#logprobs = logprobs !== undefined;
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
    this.#untold?.push(token);
    return { parts: this.#counted(this.#read(token, chance ?? null)), stopped: this.#stopped };
  }

  /**
   * Takes a token that was written elsewhere, whose parts were shown there. False where the answer is over with it:
   * then only {@linkcode AnswerWriter.flush} is left.
   */
  replay(token: number): boolean {
    this.#counted(this.#read(token, null));
    return !this.#stopped;
  }

  #read(token: number, chance: TokenLogprob | null): AnswerShapePart[] {
    this.recent.push(token);
    if (this.recent.length > this.#lookBack) this.recent.shift();
    const preserved = this.#preserved.get(token);
    const written = preserved === undefined ? this.#detokenizer.push(token) : this.#detokenizer.flush() + preserved;
    if (this.#logprobs || chance !== null) this.#chances.push(chance, written);
    const { text, stopped } = this.#stops.push(written);
    const shapes = this.#reader.push(text);
    this.#stopped = stopped || this.#reader.ended;
    return shapes;
  }

  /** What was held back, where no more comes. It tells no ids: they would lead to what comes before it. */
  flush(): AnswerPart[] {
    this.#untold = null;
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

  /** Tokens that were held back count with the part that ends their waiting, the last one that their text is in. */
  #counted(shapes: readonly AnswerShapePart[]): AnswerPart[] {
    return shapes.map((shape, index) => {
      const counted = index === shapes.length - 1 ? this.#take() : { tokens: 0 };
      if (shape.type !== "text") return { ...shape, ...counted };
      const logprobs = this.#chances.take(shape.text);
      return { ...shape, ...counted, ...logprobs === null ? {} : { logprobs } };
    });
  }

  /** Tokens since the part before. More ids than a part may have are none: then nobody can go on with the answer. */
  #take(): { tokens: number; ids?: number[] } {
    const tokens = this.count - this.#told;
    this.#told = this.count;
    const ids = this.#untold;
    if (ids === null || ids.length === 0) return { tokens };
    this.#untold = [];
    return { tokens, ...ids.length <= LIMITS.partIds ? { ids } : {} };
  }
}
