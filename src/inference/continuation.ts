import {
  type AnswerPart,
  decodeTokenIds,
  encodeTokenIds,
  type InferenceRequest,
  type Timings,
  type TokenIds,
  tokensOf,
  type Usage,
} from "@ark/node/protocol";
import type { EngineRequest } from "./worker/engine.ts";

/** What an engine says at the end of an answer. */
interface Ending {
  usage: Usage;
  prompt_ms: Timings["prompt_ms"];
  generation_ms: Timings["generation_ms"];
}

/** Whether an answer may be set aside, and gone on with later. */
export interface ContinuationOptions {
  /** Peers' answers may: the engine is to tell their tokens, whether the peer wants to know them or not. */
  resumable: boolean;
}

/**
 * How far an answer has come. A peer's answer is set aside when the owner asks, and goes on afterwards: the engine is
 * given the tokens of the prompt and those that were written so far, and writes on from there. Nothing is rendered or
 * tokenised again, so thoughts, calls of functions and documents in JSON go on in their midst, too.
 */
export class Continuation {
  readonly #request: InferenceRequest;
  readonly #tellsIds: boolean;
  #promptTokens: number | null = null;
  #promptIds: TokenIds | undefined;
  /** Ids of the tokens that were shown, as long as all are known. */
  readonly #ids: number[] = [];
  #tokens = 0;
  #ofTokens = true;
  /** Tokens and milliseconds of the parts before the one that runs. */
  #before = { tokens: 0, ms: 0 };
  #since = 0;

  /** Begins with nothing written. */
  constructor(request: InferenceRequest, { resumable }: ContinuationOptions) {
    this.#request = request;
    const { kind } = request.input;
    this.#tellsIds = request.ids === true || (resumable && (kind === "chat" || kind === "completion"));
  }

  /** Whether some of the answer was shown already. */
  get begun(): boolean {
    return this.#tokens > 0;
  }

  /** Whether the engine has left it before, with some of it written. */
  get resumed(): boolean {
    return this.#before.tokens > 0;
  }

  /** Whether some of it was written before the part that runs, here or elsewhere. */
  get continued(): boolean {
    return this.resumed || this.#request.resume !== undefined;
  }

  /** How long the engine was at it before the part that runs, in milliseconds. */
  get ranMs(): number {
    return this.#before.ms;
  }

  /** Whether the engine can be told all that was shown, for it to write on. */
  get resumable(): boolean {
    return this.#ofTokens && this.#ids.length === this.#tokens;
  }

  /** Whether it has as many tokens as it may have. */
  get full(): boolean {
    return this.#tokens >= (this.#request.parameters.max_tokens ?? Infinity);
  }

  /** What the engine is to do for the next part. */
  next(): Omit<EngineRequest, "principal"> {
    this.#since = performance.now();
    const { model: _, parameters, ...asked } = this.#request;
    const ids = this.#tellsIds ? { ids: true } as const : {};
    if (!this.begun) return { ...asked, parameters, ...ids };
    const { max_tokens: most } = parameters;
    const rest = most === undefined ? {} : { max_tokens: most - this.#tokens };
    const before = asked.resume === undefined ? [] : decodeTokenIds(asked.resume.written);
    const prompt = asked.resume?.prompt ?? this.#promptIds;
    const resume = {
      ...prompt === undefined ? {} : { prompt },
      written: encodeTokenIds([...before, ...this.#ids]),
    };
    return { ...asked, ...ids, parameters: { ...parameters, ...rest }, resume };
  }

  /** Takes the prompt, as its length and its tokens; false where it was told before, of the first part. */
  start(promptTokens: number, promptIds?: TokenIds): boolean {
    const first = this.#promptTokens === null;
    this.#promptTokens ??= promptTokens;
    this.#promptIds ??= promptIds;
    return first;
  }

  /** Takes a part that is shown, and returns it as it was asked for: without the ids of its tokens where nobody wants them. */
  add(part: AnswerPart): AnswerPart {
    this.#tokens += tokensOf(part);
    if (!("tokens" in part)) {
      this.#ofTokens = false;
      return part;
    }
    for (const id of part.ids ?? []) this.#ids.push(id);
    if (this.#request.ids === true || part.ids === undefined) return part;
    const { ids: _, ...shown } = part;
    return shown;
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
