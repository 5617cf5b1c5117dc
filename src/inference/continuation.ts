import {
  type AnswerPart,
  type InferenceInput,
  type InferenceRequest,
  type Timings,
  tokensOf,
  type Usage,
} from "@ark/node/protocol";

/** What an engine says at the end of an answer. */
interface Ending {
  usage: Usage;
  prompt_ms: Timings["prompt_ms"];
  generation_ms: Timings["generation_ms"];
}

/**
 * How far an answer has come. A peer's answer is set aside when the owner asks, and goes on afterwards: the engine is
 * given the prompt and what was written so far, and writes on from there.
 */
export class Continuation {
  readonly #request: InferenceRequest;
  #promptTokens: number | null = null;
  #text = "";
  #tokens = 0;
  #textOnly = true;
  /** Tokens and milliseconds of the parts before the one that runs. */
  #before = { tokens: 0, ms: 0 };
  #since = 0;

  /** Begins with nothing written. */
  constructor(request: InferenceRequest) {
    this.#request = request;
  }

  /** Whether some of the answer was shown already. */
  get begun(): boolean {
    return this.#tokens > 0;
  }

  /** Whether the engine has left it before, with some of it written. */
  get resumed(): boolean {
    return this.#before.tokens > 0;
  }

  /** How long the engine was at it before the part that runs, in milliseconds. */
  get ranMs(): number {
    return this.#before.ms;
  }

  /** Whether what was shown can be given back to the engine as text, for it to write on. */
  get resumable(): boolean {
    return this.#textOnly && this.#request.parameters.format === undefined;
  }

  /** Whether it has as many tokens as it may have. */
  get full(): boolean {
    return this.#tokens >= (this.#request.parameters.max_tokens ?? Infinity);
  }

  /** What the engine is to do for the next part. */
  next(): Omit<InferenceRequest, "model"> {
    this.#since = performance.now();
    const { model: _, ...asked } = this.#request;
    const { input, parameters } = asked;
    if (!this.begun) return asked;
    const { max_tokens: most } = parameters;
    const rest = most === undefined ? {} : { max_tokens: most - this.#tokens };
    return { input: followed(input, this.#text), parameters: { ...parameters, ...rest } };
  }

  /** Takes the length of the prompt; false where it was told before, of the first part. */
  start(promptTokens: number): boolean {
    const first = this.#promptTokens === null;
    this.#promptTokens ??= promptTokens;
    return first;
  }

  /** Takes a part that is shown. */
  add(part: AnswerPart): void {
    if (part.type === "text") this.#text += part.text;
    else this.#textOnly = false;
    this.#tokens += tokensOf(part);
  }

  /** The engine has left it. */
  pause(): void {
    this.#before = { tokens: this.#tokens, ms: this.#before.ms + performance.now() - this.#since };
  }

  /** What the whole answer took, of what the engine says of its last part; without it, where none was needed. */
  total({ usage, prompt_ms, generation_ms }: Ending = NOTHING): Ending {
    return {
      usage: {
        prompt_tokens: this.#promptTokens ?? usage.prompt_tokens,
        completion_tokens: this.#before.tokens + usage.completion_tokens,
        ...usage.cached_tokens === undefined || this.resumed ? {} : { cached_tokens: usage.cached_tokens },
      },
      prompt_ms,
      generation_ms: this.#before.ms + generation_ms,
    };
  }
}

const NOTHING: Ending = { usage: { prompt_tokens: 0, completion_tokens: 0 }, prompt_ms: 0, generation_ms: 0 };

/** An input with the beginning of its answer: an assistant's turn that has begun is gone on with. */
function followed(input: InferenceInput, text: string): InferenceInput {
  if (input.kind === "completion" && typeof input.prompt === "string") return { ...input, prompt: input.prompt + text };
  if (input.kind !== "chat") return input;
  const last = input.messages.at(-1);
  const others = last?.role === "assistant" ? input.messages.slice(0, -1) : input.messages;
  const content = (last?.role === "assistant" ? last.content : "") + text;
  return { ...input, messages: [...others, { ...last?.role === "assistant" ? last : {}, role: "assistant", content }] };
}
