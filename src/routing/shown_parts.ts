import { type AnswerPart, type ArkError, toArkError } from "@ark/node/protocol";
import { type Transcript, withoutIds } from "./transcript.ts";

/** Parts that may be shown now, and what was wrong with the one after them. */
export interface Shown {
  /** In their order, without what only nodes are told. */
  readonly parts: readonly AnswerPart[];
  /** Why the one who answers must not go on; null where it may. */
  readonly fault: ArkError | null;
}

/**
 * Lets parts pass when it is settled which tokens they belong to. Of several parts that one token completes only the last
 * one tells that token: whoever goes on from the tokens before it writes all of them again, so they are shown together.
 */
export class ShownParts {
  readonly #transcript: Transcript;
  #held: AnswerPart[] = [];

  /** Notes what is shown in a transcript. */
  constructor(transcript: Transcript) {
    this.#transcript = transcript;
  }

  /** Whether parts are held until it is settled which tokens they belong to. */
  get holds(): boolean {
    return this.#held.length > 0;
  }

  /** Takes note of parts that were shown at monotonic times, each with its tokens, while nothing was held. */
  note(parts: readonly AnswerPart[], times: readonly number[]): void {
    parts.forEach((part, index) => this.#transcript.take(part, times[index]));
  }

  /** Takes parts, in their order. */
  take(parts: readonly AnswerPart[]): Shown {
    const [only] = parts;
    if (parts.length === 1 && only !== undefined && this.#held.length === 0 && this.#settled(only)) {
      return this.#one(only);
    }
    return this.#shown((pass) => {
      for (const part of parts) {
        this.#held.push(part);
        if (this.#settled(part)) pass();
      }
    });
  }

  /** What is held, and some more parts, where the answer ends. */
  rest(more: readonly AnswerPart[]): Shown {
    this.#held.push(...more);
    return this.#shown((pass) => pass());
  }

  /** Forgets what is held: somebody else goes on, and writes it again. */
  drop(): void {
    this.#held = [];
  }

  /** Whether it is settled which tokens a part belongs to, and those before it. */
  #settled(part: AnswerPart): boolean {
    return !this.#transcript.tellsTokens || !("tokens" in part) || part.tokens > 0;
  }

  /** Nearly every token comes by itself. */
  #one(part: AnswerPart): Shown {
    try {
      this.#transcript.take(part);
      return { parts: [withoutIds(part)], fault: null };
    } catch (error) {
      return { parts: [], fault: toArkError(error) };
    }
  }

  /** Lets all that is held pass whenever `work` says so, up to a part with which something is wrong. */
  #shown(work: (pass: () => void) => void): Shown {
    const parts: AnswerPart[] = [];
    const pass = () => {
      for (const part of this.#held.splice(0)) {
        this.#transcript.take(part);
        parts.push(withoutIds(part));
      }
    };
    try {
      work(pass);
      return { parts, fault: null };
    } catch (error) {
      return { parts, fault: toArkError(error) };
    }
  }
}
