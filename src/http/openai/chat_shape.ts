import { type AnswerPart, ArkError, type FinishReason, type TokenLogprob } from "@ark/node/protocol";
import type { AnswerShape, ChoiceCollector, ChoiceWriter } from "./answer_shape.ts";
import { chatLogprobs } from "./logprobs.ts";

/** What a client asked of the shape of a chat. */
export interface ChatShapeOptions {
  /** Whether each text tells how likely its tokens were. */
  logprobs?: boolean;
  /** Whether functions are called as before there were tools: `function_call`, and one of them only. */
  legacy?: boolean;
}

/** How `/v1/chat/completions` writes an answer. */
export function chatShape({ logprobs = false, legacy = false }: ChatShapeOptions = {}): AnswerShape {
  return {
    idPrefix: "chatcmpl-",
    object: "chat.completion",
    chunkObject: "chat.completion.chunk",
    plain: !logprobs,
    writer: (index) => new ChatWriter({ index, logprobs, legacy }),
    collector: (index) => new ChatCollector({ index, logprobs, legacy }),
  };
}

interface ChoiceOptions extends Required<ChatShapeOptions> {
  index: number;
}

/** Calls of one choice, by index: what a peer sends is written down only where it makes sense to a client. */
class KnownCalls {
  #count = 0;

  /** Takes note of a call or of some of its arguments. */
  take({ type, index }: { type: "tool_call" | "tool_arguments"; index: number }): void {
    const sound = type === "tool_call" ? index === this.#count : index < this.#count;
    if (!sound) throw new ArkError("engine_failed", "The engine called functions in an impossible order; ask again");
    if (type === "tool_call") this.#count++;
  }

  /** Why the answer ended, as the client understands it. */
  reason(reason: FinishReason, { legacy }: { legacy: boolean }): string {
    const called = reason === "tool_calls" || (reason === "stop" && this.#count > 0);
    if (!called) return reason;
    return legacy ? "function_call" : "tool_calls";
  }
}

class ChatWriter implements ChoiceWriter {
  readonly #options: ChoiceOptions;
  readonly #calls = new KnownCalls();

  constructor(options: ChoiceOptions) {
    this.#options = options;
  }

  opening(): object {
    return this.#choice({ role: "assistant", content: "" });
  }

  part(part: AnswerPart): object | null {
    switch (part.type) {
      case "text": {
        const told = this.#options.logprobs ? part.logprobs ?? [] : [];
        if (part.text === "" && told.length === 0) return null;
        return this.#choice({ content: part.text }, { told });
      }
      case "reasoning":
        return part.text === "" ? null : this.#choice({ reasoning_content: part.text });
      case "tool_call": {
        this.#calls.take(part);
        const { index, id, name } = part;
        // Without arguments yet, which is not the same as absent: clients add to what is there.
        return this.#call(index, { id, type: "function" }, { name, arguments: "" });
      }
      case "tool_arguments":
        this.#calls.take(part);
        return part.text === "" ? null : this.#call(part.index, {}, { arguments: part.text });
    }
    return null;
  }

  finish(reason: FinishReason): object {
    return this.#choice({}, { finish_reason: this.#calls.reason(reason, this.#options) });
  }

  #call(index: number, head: object, called: object): object | null {
    if (!this.#options.legacy) return this.#choice({ tool_calls: [{ index, ...head, function: called }] });
    return index === 0 ? this.#choice({ function_call: called }) : null;
  }

  #choice(
    delta: object,
    { told = [], finish_reason = null }: { told?: readonly TokenLogprob[]; finish_reason?: string | null } = {},
  ): object {
    const logprobs = told.length > 0 ? chatLogprobs(told) : null;
    return { index: this.#options.index, delta, logprobs, finish_reason };
  }
}

class ChatCollector implements ChoiceCollector {
  readonly #options: ChoiceOptions;
  readonly #known = new KnownCalls();
  readonly #calls: { id: string; name: string; arguments: string }[] = [];
  readonly #told: TokenLogprob[] = [];
  #text = "";
  #reasoning = "";

  constructor(options: ChoiceOptions) {
    this.#options = options;
  }

  add(part: AnswerPart): void {
    switch (part.type) {
      case "text":
        this.#text += part.text;
        this.#told.push(...part.logprobs ?? []);
        break;
      case "reasoning":
        this.#reasoning += part.text;
        break;
      case "tool_call":
        this.#known.take(part);
        this.#calls.push({ id: part.id, name: part.name, arguments: "" });
        break;
      case "tool_arguments": {
        this.#known.take(part);
        const call = this.#calls[part.index];
        if (call !== undefined) call.arguments += part.text;
      }
    }
  }

  choice(reason: FinishReason): object {
    const { index, logprobs } = this.#options;
    const message = {
      role: "assistant",
      content: this.#text === "" && this.#calls.length > 0 ? null : this.#text,
      refusal: null,
      ...this.#reasoning === "" ? {} : { reasoning_content: this.#reasoning },
      ...this.#called(),
    };
    const told = logprobs ? chatLogprobs(this.#told) : null;
    return { index, message, logprobs: told, finish_reason: this.#known.reason(reason, this.#options) };
  }

  #called(): object {
    const [first] = this.#calls;
    if (first === undefined) return {};
    if (this.#options.legacy) return { function_call: { name: first.name, arguments: first.arguments } };
    return { tool_calls: this.#calls.map(({ id, ...called }) => ({ id, type: "function", function: called })) };
  }
}
