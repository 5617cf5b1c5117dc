import type { InferenceRequest } from "@ark/node/protocol";
import { AnswerLengths } from "./answer_lengths.ts";

/** What is known of the answers of one model so far. */
interface Known {
  /** Characters that a token of a prompt has. */
  characters: number;
  /** Tokens of its answers. */
  readonly lengths: AnswerLengths;
}

const WEIGHT = 1 / 8;
/** What is known of a model that was not asked yet. */
const UNKNOWN: Readonly<Known> = { characters: 4, lengths: new AnswerLengths() };
/** What a template puts around a message, in characters. */
const AROUND_MESSAGE = 20;

/** Learns how long prompts and answers are, so that one can be ranked before it is known. Bounded. */
export class Demands {
  readonly #most: number;
  /** The one that was used last comes last. */
  readonly #known = new Map<string, Known>();

  /** Makes one that knows nothing of up to so many models. */
  constructor({ most = 256 }: { most?: number } = {}) {
    this.#most = most;
  }

  /** How many tokens are to be read and written, as far as one can expect. */
  expect(request: InferenceRequest): { promptTokens: number; answerTokens: number } {
    const { characters, lengths } = this.#known.get(request.model) ?? UNKNOWN;
    const { text, tokens } = sizeOf(request);
    const promptTokens = Math.max(1, Math.ceil(text / characters) + tokens);
    const writes = request.input.kind === "chat" || request.input.kind === "completion";
    if (!writes || request.count_only === true) return { promptTokens, answerTokens: 0 };
    return { promptTokens, answerTokens: Math.min(request.parameters.max_tokens ?? Infinity, lengths.mean) };
  }

  /** How many tokens are still to be written of an answer that has so many, as far as one can expect; at least 1. */
  rest({ model, parameters: { max_tokens: most = Infinity } }: InferenceRequest, written: number): number {
    const { lengths } = this.#known.get(model) ?? UNKNOWN;
    return Math.max(1, Math.min(most - written, lengths.rest(written)));
  }

  /** Takes note of a complete answer. */
  note(
    request: InferenceRequest,
    { promptTokens, answerTokens }: { promptTokens: number; answerTokens: number },
  ): void {
    const { model } = request;
    const known = this.#known.get(model) ?? { ...UNKNOWN, lengths: new AnswerLengths() };
    const { text, tokens } = sizeOf(request);
    const told = promptTokens - tokens;
    // A prompt of a few words is more template than text.
    if (told >= 16 && text > 0) known.characters += (Math.min(16, text / told) - known.characters) * WEIGHT;
    known.lengths.note(answerTokens);
    this.#known.delete(model);
    this.#known.set(model, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > this.#most && oldest !== undefined) this.#known.delete(oldest);
  }
}

/** Characters of text and tokens that are given as such. */
function sizeOf({ input }: InferenceRequest): { text: number; tokens: number } {
  switch (input.kind) {
    case "chat": {
      let text = input.tools === undefined ? 0 : JSON.stringify(input.tools).length;
      for (const { content, reasoning, tool_calls = [] } of input.messages) {
        text += AROUND_MESSAGE + content.length + (reasoning?.length ?? 0);
        for (const call of tool_calls) text += call.name.length + call.arguments.length;
      }
      return { text, tokens: 0 };
    }
    case "completion":
      return typeof input.prompt === "string"
        ? { text: input.prompt.length + (input.suffix?.length ?? 0), tokens: 0 }
        : { text: 0, tokens: input.prompt.length };
    case "embed": {
      let [text, tokens] = [0, 0];
      for (const one of input.texts) {
        if (typeof one === "string") text += one.length;
        else tokens += one.length;
      }
      return { text, tokens };
    }
    case "rerank":
      return { text: input.documents.reduce((sum, one) => sum + one.length + input.query.length, 0), tokens: 0 };
  }
}
