import { type Detokenize, Detokenizer } from "./detokenizer.ts";
import { StopFilter } from "./stop_filter.ts";

/** Tokens back that penalties look, as in llama.cpp and Ollama. */
export const PENALTY_TOKENS = 64;

/** Options of {@linkcode AnswerWriter}. */
export interface AnswerWriterOptions {
  /** Turns tokens into text. */
  detokenize: Detokenize;
  /** Tokens of the prompt. */
  prompt: readonly number[];
  /** Texts that end the answer. */
  stop: readonly string[];
}

/** Turns tokens into what may be shown, and remembers what penalties look at. */
export class AnswerWriter {
  /** The last tokens of prompt and answer. */
  readonly recent: number[];
  /** Tokens so far. */
  count = 0;
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopFilter;
  #told = 0;
  #stopped = false;

  /** Begins an answer to a prompt. */
  constructor({ detokenize, prompt, stop }: AnswerWriterOptions) {
    this.recent = prompt.slice(-PENALTY_TOKENS);
    this.#detokenizer = new Detokenizer(detokenize, prompt);
    this.#stops = new StopFilter(stop);
  }

  /** Takes a token, and returns what may be shown now; after `stopped` the answer is over. */
  push(token: number): { text: string; tokens: number; stopped: boolean } {
    this.count++;
    this.recent.push(token);
    if (this.recent.length > PENALTY_TOKENS) this.recent.shift();
    const { text, stopped } = this.#stops.push(this.#detokenizer.push(token));
    this.#stopped = stopped;
    return { text, tokens: text === "" ? 0 : this.#untold(), stopped };
  }

  /** What was held back, where no more comes. */
  flush(): { text: string; tokens: number } {
    if (this.#stopped) return { text: "", tokens: 0 };
    const { text, stopped } = this.#stops.push(this.#detokenizer.flush());
    return { text: stopped ? text : text + this.#stops.flush(), tokens: this.#untold() };
  }

  /** Tokens since this was asked last: those that were held back count with the text that ends their waiting. */
  #untold(): number {
    const untold = this.count - this.#told;
    this.#told = this.count;
    return untold;
  }
}
