import { Buffer } from "node:buffer";
import type { ArkError, FinishReason } from "@ark/node/protocol";
import { jsonLine, utf8 } from "../api/server_events.ts";
import type { AnswerHead, AnswerShape, ChoiceWriter } from "./answer_shape.ts";
import { errorBody } from "./error_answer.ts";

/** A comment, which clients skip, while there is nothing to say. */
export const KEEP_ALIVE: Uint8Array<ArrayBuffer> = utf8(": keep-alive\n\n");

/** The mark of a complete stream. */
export const DONE: Uint8Array<ArrayBuffer> = utf8("data: [DONE]\n\n");

/** A failure in mid-stream. The stream ends after it, without `[DONE]`. */
export function errorEvent(failure: ArkError): Uint8Array<ArrayBuffer> {
  return utf8(dataEvent(errorBody(failure)));
}

/** Any value as an event without a name. */
export function dataEvent(value: unknown): string {
  return `data: ${jsonLine(value)}\n\n`;
}

/** Longest text whose bytes are written one by one. */
const SHORT = 64;

/** Stands where the text of a chunk goes. */
const MARK = "\u0000";

/**
 * Writes the chunks of one choice. What does not change is made once; where a shape is plain, a token costs one
 * `JSON.stringify` of its text and one encoding.
 */
export class ChunkEncoder {
  readonly #shape: AnswerShape;
  readonly #head: AnswerHead;
  readonly #writer: ChoiceWriter;
  readonly #before: string;
  readonly #after: string;
  readonly #beforeBytes: Uint8Array;
  readonly #afterBytes: Uint8Array;

  /** Makes an encoder for the choice with an index. */
  constructor(shape: AnswerShape, { head, index }: { head: AnswerHead; index: number }) {
    this.#shape = shape;
    this.#head = head;
    this.#writer = shape.writer(index);
    const marked = shape.writer(index).part({ type: "text", text: MARK, tokens: 1 });
    const chunk = jsonLine(chunkOf(shape, head, { choices: [marked] }));
    // The last one: the name of a model, which a peer chooses, may look like the mark, and stands before it.
    const at = chunk.lastIndexOf(JSON.stringify(MARK));
    this.#before = `data: ${chunk.slice(0, at)}`;
    this.#after = `${chunk.slice(at + JSON.stringify(MARK).length)}\n\n`;
    this.#beforeBytes = utf8(`${this.#before}"`);
    this.#afterBytes = utf8(`"${this.#after}`);
  }

  /** The first chunk, which says who speaks; null where the shape has none. */
  opening(): Uint8Array<ArrayBuffer> | null {
    return this.#event(this.#writer.opening());
  }

  /** A part of the answer, or null where there is nothing to say. */
  part(part: Parameters<ChoiceWriter["part"]>[0]): Uint8Array<ArrayBuffer> | null {
    if (part.type !== "text" || !this.#shape.plain) return this.#event(this.#writer.part(part));
    if (part.text === "") return null;
    return this.#plain(part.text) ?? utf8(this.#before + jsonLine(part.text) + this.#after);
  }

  /** The chunk for a short text that JSON spells as it is; null for any other. The same bytes, for less work. */
  #plain(text: string): Uint8Array<ArrayBuffer> | null {
    const { length } = text;
    if (length > SHORT) return null;
    const [before, after] = [this.#beforeBytes, this.#afterBytes];
    // From a pool: memory of its own for each token keeps the garbage collector busy.
    const bytes = Buffer.allocUnsafe(before.length + length + after.length);
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code < 32 || code > 126 || code === 34 || code === 92) return null;
      bytes[before.length + at] = code;
    }
    bytes.set(before);
    bytes.set(after, before.length + length);
    return bytes;
  }

  /** Why the answer ended. */
  finish(reason: FinishReason): string {
    return dataEvent(chunkOf(this.#shape, this.#head, { choices: [this.#writer.finish(reason)] }));
  }

  #event(choice: object | null): Uint8Array<ArrayBuffer> | null {
    return choice === null ? null : utf8(dataEvent(chunkOf(this.#shape, this.#head, { choices: [choice] })));
  }
}

/** A chunk without choices, which says what all of them cost. */
export function usageChunk(shape: AnswerShape, head: AnswerHead, usage: object): string {
  return dataEvent(chunkOf(shape, head, { choices: [], usage }));
}

function chunkOf({ chunkObject }: AnswerShape, { id, created, model }: AnswerHead, rest: object): object {
  return { id, object: chunkObject, created, model, ...rest };
}
