import type { AnswerPart, FinishReason } from "@ark/node/protocol";

/** What all chunks of an answer have in common. */
export interface AnswerHead {
  /** Id of the answer. */
  id: string;
  /** When it was made, in seconds since 1970. */
  created: number;
  /** Which model answers, as the node that answers calls it. */
  model: string;
}

/** Writes one choice of a streamed answer. */
export interface ChoiceWriter {
  /** Choice of the first chunk, before any part; null where there is none. */
  opening(): object | null;
  /** Choice of the chunk for a part; null where there is nothing to say. */
  part(part: AnswerPart): object | null;
  /** Choice of the chunk that says why the answer ended. */
  finish(reason: FinishReason): object;
}

/** Collects one choice of an answer in one piece. */
export interface ChoiceCollector {
  /** Takes a part. */
  add(part: AnswerPart): void;
  /** The choice. */
  choice(reason: FinishReason): object;
}

/** How one of the two APIs writes an answer, with what its client asked for. */
export interface AnswerShape {
  /** Begin of an answer's id. */
  readonly idPrefix: string;
  /** `object` of an answer in one piece. */
  readonly object: string;
  /** `object` of a chunk. */
  readonly chunkObject: string;
  /** Whether a chunk with text has nothing but the text that changes. */
  readonly plain: boolean;
  /** Begins a streamed choice. */
  writer(index: number): ChoiceWriter;
  /** Begins a choice in one piece. */
  collector(index: number): ChoiceCollector;
}
