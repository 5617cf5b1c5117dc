import type { InferenceInput, InferenceRequest, Timings, Usage } from "@ark/node/protocol";

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

  /** Whether it has as many tokens as it may have. */
  get full(): boolean {
    return this.#tokens >= (this.#request.parameters.max_tokens ?? Infinity);
  }

  /** What the engine is to do for the next part. */
  next(): Pick<InferenceRequest, "input" | "parameters"> {
    this.#since = performance.now();
    const { input, parameters } = this.#request;
    if (!this.begun) return { input, parameters };
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

  /** Takes text that is shown. */
  add(text: string, tokens: number): void {
    this.#text += text;
    this.#tokens += tokens;
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
      },
      prompt_ms,
      generation_ms: this.#before.ms + generation_ms,
    };
  }
}

const NOTHING: Ending = { usage: { prompt_tokens: 0, completion_tokens: 0 }, prompt_ms: 0, generation_ms: 0 };

/** An input with the beginning of its answer: an assistant's turn that has begun is gone on with. */
function followed(input: InferenceInput, text: string): InferenceInput {
  if (input.kind === "completion") return { kind: "completion", prompt: input.prompt + text };
  const last = input.messages.at(-1);
  const others = last?.role === "assistant" ? input.messages.slice(0, -1) : input.messages;
  const content = (last?.role === "assistant" ? last.content : "") + text;
  return { kind: "chat", messages: [...others, { role: "assistant", content }] };
}
