import {
  type AnswerPart,
  ArkError,
  encodeTokenIds,
  type InferenceEvent,
  type InferenceRequest,
  LIMITS,
  type TokenIds,
  tokensOf,
} from "@ark/node/protocol";

/** The beginning of an answer. */
export type AnswerStart = Extract<InferenceEvent, { type: "start" }>;
/** The end of an answer. */
export type AnswerEnd = Extract<InferenceEvent, { type: "end" }>;

/** Characters of four bytes in base64, at least. */
const ID_CHARACTERS = 16 / 3;

/**
 * What of an answer was shown, as tokens: whoever has the same weights can go on from there. It never holds more than
 * {@linkcode LIMITS.resumedTokens}; an answer that grows beyond that, or that does not tell its tokens, cannot be gone on
 * with.
 */
export class Transcript {
  readonly #request: InferenceRequest;
  readonly #began = performance.now();
  #start: AnswerStart | null = null;
  #prompt: TokenIds | null = null;
  #written: number[] = [];
  #tokens = 0;
  /** Tokens before the part that is written now. */
  #before = 0;
  #continued = false;
  #calls = 0;
  readonly #callIds = new Set<string>();
  #firstAt = 0;
  #lastAt = 0;

  /** Begins with nothing shown. */
  constructor(request: InferenceRequest) {
    this.#request = request;
  }

  /** SHA-256 of the weights that write it, or null where they are not known. */
  get digest(): string | null {
    return this.#start?.digest ?? null;
  }

  /** Tokens that were shown. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Tokens of the prompt. */
  get promptTokens(): number {
    return this.#start?.prompt_tokens ?? 0;
  }

  /** When the last part was shown, by the monotonic clock. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Tokens that may still be written, or undefined where there is no limit. */
  get left(): number | undefined {
    const most = this.#request.parameters.max_tokens;
    return most === undefined ? undefined : most - this.#tokens;
  }

  /** Whether its tokens are told, so far. */
  get tellsTokens(): boolean {
    return this.#prompt !== null;
  }

  /** Whether another node could go on with it. */
  get resumable(): boolean {
    return this.#prompt !== null && this.#written.length > 0 && this.digest !== null;
  }

  /** Takes the beginning of the answer of the one who leads. */
  begin(start: AnswerStart): void {
    this.#start = start;
    const ids = start.prompt_ids;
    if (ids === undefined || start.digest === null) return;
    // What is told of the prompt must at least be as long as it is said to be.
    const length = Math.floor(ids.replace(/=+$/, "").length / ID_CHARACTERS);
    if (length === start.prompt_tokens && length < LIMITS.resumedTokens) this.#prompt = ids;
  }

  /**
   * Takes a part that is shown next, or was at a monotonic time.
   *
   * @throws {ArkError} `unavailable` where the one who goes on repeats a call of a function, or goes on with none.
   */
  take(part: AnswerPart, at: number = performance.now()): void {
    if (part.type === "tool_call") {
      const repeated = part.index !== this.#calls || this.#callIds.has(part.id);
      if (this.#continued && repeated) throw notTheRest();
      this.#calls++;
      if (this.#prompt !== null) this.#callIds.add(part.id);
    } else if (part.type === "tool_arguments") {
      if (this.#continued && part.index !== this.#calls - 1) throw notTheRest();
    }
    const count = tokensOf(part);
    this.#tokens += count;
    this.#lastAt = at;
    if (this.#firstAt === 0) this.#firstAt = this.#lastAt;
    if (this.#prompt === null) return;
    const ids = "ids" in part ? part.ids ?? [] : [];
    const most = LIMITS.resumedTokens - this.promptTokens;
    if (ids.length !== count || "values" in part || "score" in part || this.#written.length + count > most) {
      return this.#forget();
    }
    for (const id of ids) this.#written.push(id);
  }

  /** What another node is asked, which calls the model so, to go on. */
  rest(model: string): InferenceRequest {
    const { input, parameters } = this.#request;
    const left = this.left;
    return {
      model,
      input,
      parameters: { ...parameters, ...left === undefined ? {} : { max_tokens: left } },
      ids: true,
      resume: { prompt: this.#prompt ?? "", written: encodeTokenIds(this.#written) },
    };
  }

  /** Whether one that begins so would go on with the very same prompt by the very same weights. */
  fits(start: AnswerStart): boolean {
    return start.digest === this.digest && start.prompt_tokens === this.promptTokens;
  }

  /**
   * The next one goes on from here.
   *
   * @throws {ArkError} `unavailable` where it has other weights, or another prompt.
   */
  goOn(start: AnswerStart): void {
    if (!this.fits(start)) {
      throw new ArkError("unavailable", "The peer was to go on with an answer and began another one");
    }
    this.#before = this.#tokens;
    this.#continued = true;
  }

  /**
   * The end of the whole answer, of what the last one says of its part: its prompt is the first one's, and the tokens of
   * all are added. What an answer took that several wrote is as it was seen from here.
   *
   * @throws {ArkError} `unavailable` where it ends with calls of functions of which there is none.
   */
  end(last: AnswerEnd): AnswerEnd {
    if (!this.#continued) return last;
    if (last.finish_reason === "tool_calls" && this.#calls === 0) throw notTheRest();
    return this.#whole(last);
  }

  /** The end of an answer that had written all it may when the one who wrote it failed. */
  full(): AnswerEnd {
    this.#before = this.#tokens;
    const usage = { prompt_tokens: this.promptTokens, completion_tokens: 0 };
    const timings = { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 };
    return this.#whole({ type: "end", finish_reason: "length", usage, timings });
  }

  #whole(last: AnswerEnd): AnswerEnd {
    const firstAt = this.#firstAt;
    return {
      ...last,
      usage: {
        prompt_tokens: this.promptTokens,
        completion_tokens: this.#before + last.usage.completion_tokens,
      },
      timings: {
        queue_ms: 0,
        load_ms: 0,
        prompt_ms: firstAt - this.#began,
        generation_ms: performance.now() - firstAt,
      },
    };
  }

  #forget(): void {
    this.#prompt = null;
    this.#written = [];
    this.#callIds.clear();
  }
}

/** A part without what only nodes are told: its tokens are as good as the text itself, and nobody else needs them. */
export function withoutIds<E extends InferenceEvent>(event: E): E {
  if (event.type === "start" && event.prompt_ids !== undefined) {
    const { prompt_ids: _, ...rest } = event;
    return rest as E;
  }
  // Nearly every event is one of these, and taking a field out of any other takes ten times as long.
  if (event.type === "text" && event.ids !== undefined && event.logprobs === undefined) {
    const { type, text, tokens } = event;
    return { type, text, tokens } as E;
  }
  if ("ids" in event && event.ids !== undefined) {
    const { ids: _, ...rest } = event;
    return rest as E;
  }
  return event;
}

function notTheRest(): ArkError {
  return new ArkError("unavailable", "The peer was to go on with an answer and repeated or left out a part of it");
}
