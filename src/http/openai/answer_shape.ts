import type { FinishReason, Usage } from "@ark/node/protocol";

/** Which of OpenAI's two APIs is answered. */
export type OpenAiKind = "chat" | "completion";

/** Shapes one answer: every object of it has the same id, time and model. */
export class AnswerShape {
  readonly #kind: OpenAiKind;
  readonly #head: string;
  readonly #whole: Record<string, unknown>;

  /** Fixes what is the same in every object. */
  constructor(kind: OpenAiKind, model: string) {
    this.#kind = kind;
    const id = `${kind === "chat" ? "chatcmpl" : "cmpl"}-${crypto.randomUUID().replaceAll("-", "")}`;
    const created = Math.floor(Date.now() / 1_000);
    const chunk = kind === "chat" ? "chat.completion.chunk" : "text_completion";
    this.#head = JSON.stringify({ id, object: chunk, created, model }).slice(0, -1);
    this.#whole = { id, object: kind === "chat" ? "chat.completion" : "text_completion", created, model };
  }

  /** The first object of a stream, which says who speaks; null where the API has none. */
  opening(): string | null {
    return this.#kind === "chat" ? this.#chunk(`{"role":"assistant","content":""}`, "null") : null;
  }

  /** One piece of text. Hot: only the text is encoded anew. */
  text(text: string): string {
    const encoded = JSON.stringify(text);
    return this.#chunk(this.#kind === "chat" ? `{"content":${encoded}}` : encoded, "null");
  }

  /** Why the stream ends. */
  finish(reason: FinishReason): string {
    return this.#chunk(this.#kind === "chat" ? "{}" : `""`, `"${reason}"`);
  }

  /** The object with the usage, which has no choice. */
  usage(usage: Usage): string {
    return `${this.#head},"choices":[],"usage":${JSON.stringify(withTotal(usage))}}`;
  }

  /** A whole answer. */
  whole({ text, reason, usage }: { text: string; reason: FinishReason; usage: Usage }): Record<string, unknown> {
    const common = { index: 0, logprobs: null, finish_reason: reason };
    const choice = this.#kind === "chat"
      ? { ...common, message: { role: "assistant", content: text, refusal: null } }
      : { ...common, text };
    return { ...this.#whole, choices: [choice], usage: withTotal(usage) };
  }

  #chunk(body: string, reason: string): string {
    const field = this.#kind === "chat" ? "delta" : "text";
    return `${this.#head},"choices":[{"index":0,"${field}":${body},"logprobs":null,"finish_reason":${reason}}]}`;
  }
}

function withTotal({ prompt_tokens, completion_tokens }: Usage) {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}
