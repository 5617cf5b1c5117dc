import type { ArkError, FinishReason, Usage } from "@ark/node/protocol";
import { type AnswerHead, type AnswerShape, usageBody } from "./answer_shape.ts";
import { errorBody } from "./error_answer.ts";

const ENCODER = new TextEncoder();

/**
 * Line breaks to some clients, which cut a stream by Unicode's idea of a line, and harmless inside JSON to none; C0 ones
 * are escaped by `JSON.stringify` itself.
 */
const UNICODE_BREAKS = /[\u0085\u2028\u2029]/g;

/** A comment, which clients skip, while there is nothing to say. */
export const KEEP_ALIVE: Uint8Array<ArrayBuffer> = ENCODER.encode(": keep-alive\n\n");

/** The mark of a complete stream. */
export const DONE: Uint8Array<ArrayBuffer> = ENCODER.encode("data: [DONE]\n\n");

/** A failure in mid-stream. The stream ends after it, without `[DONE]`. */
export function errorEvent(failure: ArkError): Uint8Array<ArrayBuffer> {
  return event(jsonOf(errorBody(failure)));
}

/** Stands where the text of a chunk goes. */
const MARK = "\u0000";

/** Any value as JSON in one line, by every client's idea of a line. */
function jsonOf(value: unknown): string {
  const json = JSON.stringify(value);
  // Almost no text has one: a search is cheaper than a replacement.
  return json.search(UNICODE_BREAKS) < 0 ? json : json.replaceAll(UNICODE_BREAKS, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function event(json: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(`data: ${json}\n\n`);
}

/**
 * Writes the chunks of one stream. What does not change is made once; a token costs one `JSON.stringify` of its text and
 * one encoding.
 */
export class ChunkEncoder {
  readonly #shape: AnswerShape;
  readonly #head: AnswerHead;
  readonly #before: string;
  readonly #after: string;

  /** Makes an encoder for one answer. */
  constructor(shape: AnswerShape, head: AnswerHead) {
    this.#shape = shape;
    this.#head = head;
    const chunk = jsonOf(this.#chunk([shape.textChoice(MARK)]));
    // The last one: the name of a model, which a peer chooses, may look like the mark, and stands before it.
    const at = chunk.lastIndexOf(JSON.stringify(MARK));
    this.#before = `data: ${chunk.slice(0, at)}`;
    this.#after = `${chunk.slice(at + JSON.stringify(MARK).length)}\n\n`;
  }

  /** The first chunk, which says who speaks; null where the shape has none. */
  opening(): Uint8Array<ArrayBuffer> | null {
    const choice = this.#shape.openingChoice();
    return choice === null ? null : event(jsonOf(this.#chunk([choice])));
  }

  /** Some text. */
  text(text: string): Uint8Array<ArrayBuffer> {
    return ENCODER.encode(this.#before + jsonOf(text) + this.#after);
  }

  /** Why the answer ended. */
  finish(reason: FinishReason): Uint8Array<ArrayBuffer> {
    return event(jsonOf(this.#chunk([this.#shape.finishChoice(reason)])));
  }

  /** What the answer cost. */
  usage(usage: Usage): Uint8Array<ArrayBuffer> {
    return event(jsonOf({ ...this.#chunk([]), usage: usageBody(usage) }));
  }

  #chunk(choices: readonly object[]): object {
    const { id, created, model } = this.#head;
    return { id, object: this.#shape.chunkObject, created, model, choices };
  }
}
