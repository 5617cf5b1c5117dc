import type { AnswerPart } from "@ark/node/protocol";

/** A part of an answer before its tokens are counted. */
export type AnswerShapePart = Shape<Exclude<AnswerPart, { type: "vector" | "score" }>>;

type Shape<P> = P extends AnswerPart ? Omit<P, "tokens" | "logprobs"> : never;

/** What the model may write. */
export interface AnswerGrammar {
  /** GBNF; its beginning is `root`. */
  readonly gbnf: string;
  /**
   * Null where it holds from the first token. Else it holds from the first of these texts on, that text included, and
   * before it the model is free. A text can lie across tokens, and end within one.
   */
  readonly triggers: readonly string[] | null;
}

/** A request, ready for an engine. */
export interface PreparedAnswer {
  /** Tokens of the prompt. */
  readonly tokens: number[];
  /** What the model may write, or null where it is free. */
  readonly grammar: AnswerGrammar | null;
  /** Extra texts that end the answer, besides those of the request: of the tool syntax or the template. */
  readonly stop: readonly string[];
  /** Control tokens that are part of the answer's syntax, and their text; all others are not shown. */
  readonly preserved: ReadonlyMap<number, string>;
  /** Sorts what was written into text, reasoning and calls; a new one for each answer. */
  reader(): AnswerReader;
}

/** Sorts the text of one answer into parts, as it comes. Never throws: what cannot be understood is text. */
export interface AnswerReader {
  /** Takes a piece, and returns what is certain with it. */
  push(text: string): AnswerShapePart[];
  /** What was held back, where no more comes. */
  flush(): AnswerShapePart[];
  /** Whether the model has called a function. */
  readonly called: boolean;
  /** Whether the answer is complete, whatever the model would go on to write. */
  readonly ended: boolean;
}

/** Takes everything for text. */
export class PlainReader implements AnswerReader {
  /** Never. */
  readonly called = false;
  /** Never. */
  readonly ended = false;

  /** The piece, as text. */
  push(text: string): AnswerShapePart[] {
    return text === "" ? [] : [{ type: "text", text }];
  }

  /** Nothing is held back. */
  flush(): AnswerShapePart[] {
    return [];
  }
}
