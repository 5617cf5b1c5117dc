import type { AnswerPart, FinishReason, TokenLogprob } from "@ark/node/protocol";
import type { AnswerShape, ChoiceCollector, ChoiceWriter } from "./answer_shape.ts";
import { CompletionLogprobs, lengthOf } from "./logprobs.ts";

/** What a client asked of the shape of a completion. */
export interface CompletionShapeOptions {
  /** Whether each text tells how likely its tokens were. */
  logprobs?: boolean;
  /** What stands before the answer of each choice: its prompt, where that is to be repeated. */
  echo?(index: number): string;
}

/** How `/v1/completions` writes an answer. */
export function completionShape({ logprobs = false, echo = () => "" }: CompletionShapeOptions = {}): AnswerShape {
  return {
    idPrefix: "cmpl-",
    object: "text_completion",
    chunkObject: "text_completion",
    plain: !logprobs,
    writer: (index) => new CompletionWriter({ index, logprobs, before: echo(index) }),
    collector: (index) => new CompletionCollector({ index, logprobs, before: echo(index) }),
  };
}

interface ChoiceOptions {
  index: number;
  logprobs: boolean;
  before: string;
}

class CompletionWriter implements ChoiceWriter {
  readonly #options: ChoiceOptions;
  readonly #logprobs: CompletionLogprobs;

  constructor(options: ChoiceOptions) {
    this.#options = options;
    this.#logprobs = new CompletionLogprobs(lengthOf(options.before));
  }

  opening(): object | null {
    const { before } = this.#options;
    return before === "" ? null : this.#choice(before);
  }

  part(part: AnswerPart): object | null {
    if (part.type !== "text") return null;
    const told = this.#options.logprobs ? part.logprobs ?? [] : [];
    if (part.text === "" && told.length === 0) return null;
    return this.#choice(part.text, { told });
  }

  finish(reason: FinishReason): object {
    return this.#choice("", { finish_reason: endOf(reason) });
  }

  #choice(
    text: string,
    { told = [], finish_reason = null }: { told?: readonly TokenLogprob[]; finish_reason?: string | null } = {},
  ): object {
    const logprobs = told.length > 0 ? this.#logprobs.of(told) : null;
    return { index: this.#options.index, text, logprobs, finish_reason };
  }
}

class CompletionCollector implements ChoiceCollector {
  readonly #options: ChoiceOptions;
  readonly #told: TokenLogprob[] = [];
  #text = "";

  constructor(options: ChoiceOptions) {
    this.#options = options;
  }

  add(part: AnswerPart): void {
    if (part.type !== "text") return;
    this.#text += part.text;
    this.#told.push(...part.logprobs ?? []);
  }

  choice(reason: FinishReason): object {
    const { index, logprobs, before } = this.#options;
    const told = logprobs ? new CompletionLogprobs(lengthOf(before)).of(this.#told) : null;
    return { index, text: before + this.#text, logprobs: told, finish_reason: endOf(reason) };
  }
}

/** A raw prompt calls no functions, and this API has no word for it. */
function endOf(reason: FinishReason): FinishReason {
  return reason === "tool_calls" ? "stop" : reason;
}
