import type { ArkError, InferenceEvent } from "@ark/node/protocol";
import { type AnswerPiece, AnswerPieces } from "../api/answer_pieces.ts";
import type { StreamWriter } from "../api/answer_stream.ts";
import { jsonLine, namedEvent, utf8 } from "../api/server_events.ts";
import { errorBody } from "./error_answer.ts";
import { type AnswerEnd, blockBegin, costBody, messageBody, SIGNATURE, stopped, usageBody } from "./message_body.ts";

/** Options of {@linkcode MessageWriter}. */
export interface MessageWriterOptions {
  /** Id of the message. */
  id: string;
  /** The client's stop texts. */
  stop: readonly string[];
  /** Id of the request, for an error. */
  requestId: string;
}

/** A sign of life, which clients skip. */
export const PING: string = event({ type: "ping" });

const DELTAS = {
  text: ["text_delta", "text"],
  reasoning: ["thinking_delta", "thinking"],
  call: ["input_json_delta", "partial_json"],
} as const;

/**
 * Writes a message as events: `message_start`, `ping`, then for each block `content_block_start`, `content_block_delta`s and
 * `content_block_stop`, and at last `message_delta` with the reason and the cost, and `message_stop`.
 */
export class MessageWriter implements StreamWriter {
  readonly #options: MessageWriterOptions;
  readonly #pieces: AnswerPieces;
  #end: AnswerEnd | null = null;
  #pending = "";
  /** Begin of an event that says more of the open block, up to its text. */
  #delta = "";

  /** Begins a message. */
  constructor(options: MessageWriterOptions) {
    this.#options = options;
    this.#pieces = new AnswerPieces({
      opened: (piece) => this.#opened(piece),
      grew: (_, text) => this.#grew(text),
      closed: (piece) => this.#closed(piece),
    });
  }

  /** What is sent for an event, or null for nothing. */
  write(event: InferenceEvent): Uint8Array | null {
    if (event.type === "start") this.#start(event);
    else if (event.type !== "end") this.#pieces.take(event);
    else {
      this.#end = event;
      this.#pieces.close();
    }
    return this.#pending === "" ? null : this.#flush();
  }

  /** What is sent when the answer is complete and on the record. */
  finish(): Uint8Array {
    if (this.#end !== null) {
      const usage = costBody(this.#end.usage, this.#pieces.reasoningTokens);
      const delta = { ...stopped(this.#end, this.#options.stop), stop_details: null, container: null };
      this.#pending += event({ type: "message_delta", delta, usage });
    }
    this.#pending += event({ type: "message_stop" });
    return this.#flush();
  }

  /** What is sent of a failure. */
  fail(failure: ArkError): Uint8Array {
    this.#pending += event(errorBody(failure, this.#options.requestId));
    return this.#flush();
  }

  #start({ model, prompt_tokens }: Extract<InferenceEvent, { type: "start" }>): void {
    // How much of the prompt was read again is known at the end.
    const usage = usageBody({ prompt_tokens, completion_tokens: 0 }, 0);
    const begun = { content: [], stop_reason: null, stop_sequence: null, usage };
    this.#pending += event({ type: "message_start", message: messageBody({ id: this.#options.id, model }, begun) });
    this.#pending += PING;
  }

  #opened(piece: AnswerPiece): void {
    const { index, kind } = piece;
    this.#pending += event({ type: "content_block_start", index, content_block: blockBegin(piece) });
    const [type, field] = DELTAS[kind];
    const begin = jsonLine({ type: "content_block_delta", index, delta: { type } });
    this.#delta = `event: content_block_delta\ndata: ${begin.slice(0, -2)},"${field}":`;
  }

  /** The one event that there is for each token, so it is put together by hand. */
  #grew(text: string): void {
    if (text !== "") this.#pending += `${this.#delta}${jsonLine(text)}}}\n\n`;
  }

  #closed({ index, kind }: AnswerPiece): void {
    if (kind === "reasoning") {
      const delta = { type: "signature_delta", signature: SIGNATURE };
      this.#pending += event({ type: "content_block_delta", index, delta });
    }
    this.#pending += event({ type: "content_block_stop", index });
  }

  #flush(): Uint8Array {
    const bytes = utf8(this.#pending);
    this.#pending = "";
    return bytes;
  }
}

function event<T extends { type: string }>(data: T): string {
  return namedEvent(data.type, jsonLine(data));
}
