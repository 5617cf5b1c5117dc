import type { InferenceEvent, Usage } from "@ark/node/protocol";
import type { ChoiceEvent } from "./answer_runs.ts";

/** Adds up what the answers to one request cost. */
export class UsageSum {
  readonly #perPrompt: number;
  #prompt = 0;
  #completion = 0;
  #cached = 0;
  #cachedKnown = true;
  #reasoning = 0;

  /** Begins with nothing; so many answers in a row have the same prompt, which counts once. */
  constructor({ perPrompt = 1 }: { perPrompt?: number } = {}) {
    this.#perPrompt = perPrompt;
  }

  /** Takes an event of one of the answers. */
  take({ index, event }: ChoiceEvent): void {
    if (event.type === "reasoning") this.#reasoning += event.tokens;
    else if (event.type === "end") this.#add(event.usage, { first: index % this.#perPrompt === 0 });
  }

  /** What all of them cost, in OpenAI's fields. */
  body(): object {
    return {
      prompt_tokens: this.#prompt,
      completion_tokens: this.#completion,
      total_tokens: this.#prompt + this.#completion,
      ...this.#cachedKnown ? { prompt_tokens_details: { cached_tokens: this.#cached } } : {},
      ...this.#reasoning === 0 ? {} : { completion_tokens_details: { reasoning_tokens: this.#reasoning } },
    };
  }

  #add({ prompt_tokens, completion_tokens, cached_tokens }: Usage, { first }: { first: boolean }): void {
    this.#completion += completion_tokens;
    if (!first) return;
    this.#prompt += prompt_tokens;
    if (cached_tokens === undefined) this.#cachedKnown = false;
    else this.#cached += cached_tokens;
  }
}

/** What a request without an answer in words cost, in OpenAI's fields. */
export function promptUsage({ usage }: Extract<InferenceEvent, { type: "end" }>): object {
  return { prompt_tokens: usage.prompt_tokens, total_tokens: usage.prompt_tokens };
}
