import type { ArkError, FinishReason } from "@ark/node/protocol";
import { utf8 } from "../api/server_events.ts";
import type { StreamWriter } from "../api/answer_stream.ts";
import type { ChoiceEvent } from "./answer_runs.ts";
import type { AnswerHead, AnswerShape } from "./answer_shape.ts";
import { ChunkEncoder, DONE, errorEvent, usageChunk } from "./sse.ts";
import { UsageSum } from "./usage.ts";

/** How answers are streamed. */
export interface ChunkWriterOptions {
  /** Writes the choices. */
  shape: AnswerShape;
  /** Id of the answer. */
  id: string;
  /** When it was made, in seconds since 1970. */
  created: number;
  /** How many choices there are. */
  size: number;
  /** How many of them in a row have the same prompt. */
  perPrompt: number;
  /** Whether the last chunk says what they cost. */
  includeUsage: boolean;
}

/** Writes the choices of an answer as chunks. `[DONE]` comes when all of them are complete and on the record. */
export class ChunkWriter implements StreamWriter<ChoiceEvent> {
  readonly #options: ChunkWriterOptions;
  readonly #usage: UsageSum;
  readonly #encoders = new Map<number, ChunkEncoder>();
  #head: AnswerHead | null = null;
  #ended = 0;

  /** Begins without a chunk. */
  constructor(options: ChunkWriterOptions) {
    this.#options = options;
    this.#usage = new UsageSum(options);
  }

  /** The chunk for an event, or null. */
  write(taken: ChoiceEvent): Uint8Array | null {
    const { index, event } = taken;
    this.#usage.take(taken);
    if (event.type === "start") return this.#begin(index, event.model);
    const encoder = this.#encoders.get(index);
    if (encoder === undefined) return null;
    return event.type === "end" ? this.#end(encoder, event.finish_reason) : encoder.part(event);
  }

  /** The mark of a complete stream. */
  finish(): Uint8Array {
    return DONE;
  }

  /** A failure. */
  fail(failure: ArkError): Uint8Array {
    return errorEvent(failure);
  }

  #begin(index: number, model: string): Uint8Array | null {
    const { shape, id, created } = this.#options;
    // Clients take what chunks have in common from any of them, also where several nodes answer.
    this.#head ??= { id, created, model };
    const encoder = new ChunkEncoder(shape, { head: this.#head, index });
    this.#encoders.set(index, encoder);
    return encoder.opening();
  }

  #end(encoder: ChunkEncoder, reason: FinishReason): Uint8Array {
    const { shape, size, includeUsage } = this.#options;
    const last = encoder.finish(reason);
    const all = ++this.#ended === size && includeUsage && this.#head !== null;
    return utf8(all ? last + usageChunk(shape, this.#head as AnswerHead, this.#usage.body()) : last);
  }
}
