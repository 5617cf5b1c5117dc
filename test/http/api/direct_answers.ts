import type { PartSink } from "@ark/node/inference";
import { type AnswerPart, ArkError, type InferenceEvent } from "@ark/node/protocol";
import type { Answers } from "../../../src/http/api/answers.ts";
import { END, START } from "./scripted_answers.ts";

/** Answers whose texts come by the short way where that is open, and by the iteration where it is not. */
export class DirectAnswers implements Answers {
  /** Signals of the answers that were cancelled. */
  cancelled = 0;
  /** Parts that went the short way. */
  direct = 0;
  readonly #texts: readonly string[];

  constructor(...texts: string[]) {
    this.#texts = texts;
  }

  models(): readonly [] {
    return [];
  }

  async *infer(_: unknown, { signal, direct }: Parameters<Answers["infer"]>[1]): AsyncGenerator<InferenceEvent> {
    yield START;
    for (const text of this.#texts) {
      // As engines do: whoever asked hears of it at the next token.
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) {
        this.cancelled++;
        throw new ArkError("cancelled", "The request was cancelled");
      }
      const part: AnswerPart = { type: "text", text, tokens: 1 };
      if (!direct?.open) yield part;
      else {
        this.direct++;
        await direct.take([part]);
      }
    }
    yield END;
  }
}

/** A short way that keeps what comes, and opens when it is told. */
export class KeptParts implements PartSink {
  open = false;
  readonly texts: string[] = [];

  take(parts: readonly AnswerPart[]): null {
    for (const part of parts) if (part.type === "text") this.texts.push(part.text);
    return null;
  }
}
