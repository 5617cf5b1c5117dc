import type { ArkError, InferenceEvent, TokenLogprob } from "@ark/node/protocol";
import type { AnswerPiece, PieceListener } from "../api/answer_pieces.ts";
import type { StreamWriter } from "../api/answer_stream.ts";
import { jsonLine, namedEvent, utf8 } from "../api/server_events.ts";
import { ResponseAnswer, type ResponseAnswerOptions } from "./response_answer.ts";
import { contentPart, itemId, logprobBody, outputItem } from "./response_body.ts";

/** Options of {@linkcode ResponseWriter}. */
export interface ResponseWriterOptions extends Omit<ResponseAnswerOptions, "listener"> {
  /** Told when the answer is complete, before the client is. */
  complete(answer: ResponseAnswer): void;
}

/**
 * Writes a response as events: `response.created`, `response.in_progress`, then for each item `output_item.added`, what it
 * grows by, `output_item.done`, and at last `response.completed`, `.incomplete` or `.failed`. Their numbers rise by one.
 */
export class ResponseWriter implements StreamWriter {
  readonly #answer: ResponseAnswer;
  readonly #complete: ResponseWriterOptions["complete"];
  #started = false;
  #number = 0;
  #pending = "";
  /** Begin of an event that says more of the open item; the item's place and id are in it. */
  #delta = "";

  /** Begins a response. */
  constructor({ complete, ...options }: ResponseWriterOptions) {
    this.#complete = complete;
    const listener = {
      opened: (piece: AnswerPiece) => this.#opened(piece),
      grew: (...more: Parameters<PieceListener["grew"]>) => this.#grew(...more),
      closed: (piece: AnswerPiece) => this.#closed(piece),
    };
    this.#answer = new ResponseAnswer({ ...options, listener });
  }

  /** What is sent for an event, or null for nothing. */
  write(event: InferenceEvent): Uint8Array | null {
    this.#answer.take(event);
    if (event.type === "start") this.#start();
    return this.#pending === "" ? null : this.#flush();
  }

  /** What is sent when the answer is complete and on the record. */
  finish(): Uint8Array {
    const response = this.#answer.ended();
    this.#complete(this.#answer);
    this.#emit(this.#answer.cut ? "response.incomplete" : "response.completed", { response });
    return this.#flush();
  }

  /** What is sent of a failure. Without `response.created` before it, clients take it for a fault of the stream. */
  fail(failure: ArkError): Uint8Array {
    if (!this.#started) this.#start();
    this.#emit("response.failed", { response: this.#answer.failed(failure) });
    return this.#flush();
  }

  #start(): void {
    this.#started = true;
    const response = this.#answer.begun();
    this.#emit("response.created", { response });
    this.#emit("response.in_progress", { response });
  }

  #opened(piece: AnswerPiece): void {
    const { index: output_index, kind } = piece;
    const { head, summary } = this.#answer;
    const id = itemId(head.id, piece);
    const item = outputItem(piece, { id, status: "in_progress", summary });
    this.#emit("response.output_item.added", { output_index, item });
    const at = { item_id: id, output_index };
    const names = NAMES[kind === "reasoning" && summary ? "summary" : kind];
    const where = { ...at, ...names.place };
    if (names.part !== null) this.#emit(`${names.part}.added`, { ...where, part: contentPart(piece, { summary }) });
    this.#delta = deltaBegin(`${names.text}.delta`, where);
  }

  /** The one event that there is for each token, so it is put together by hand. */
  #grew({ kind }: AnswerPiece, text: string, logprobs: readonly TokenLogprob[]): void {
    const told = logprobs.length === 0 ? "[]" : jsonLine(logprobs.map(logprobBody));
    const chances = kind === "text" ? `,"logprobs":${told}` : "";
    this.#pending += `${this.#delta}${jsonLine(text)}${chances},"sequence_number":${this.#number++}}\n\n`;
  }

  #closed(piece: AnswerPiece): void {
    const { kind, index: output_index, text } = piece;
    const { head, summary, cut } = this.#answer;
    const id = itemId(head.id, piece);
    const names = NAMES[kind === "reasoning" && summary ? "summary" : kind];
    const where = { item_id: id, output_index, ...names.place };
    const logprobs = kind === "text" ? { logprobs: piece.logprobs.map(logprobBody) } : {};
    this.#emit(`${names.text}.done`, { ...where, ...(kind === "call" ? { arguments: text } : { text }), ...logprobs });
    if (names.part !== null) this.#emit(`${names.part}.done`, { ...where, part: contentPart(piece, { summary }) });
    const status = cut ? "incomplete" : "completed";
    this.#emit("response.output_item.done", { output_index, item: outputItem(piece, { id, status, summary }) });
  }

  #emit(type: string, fields: object): void {
    this.#pending += namedEvent(type, jsonLine({ type, ...fields, sequence_number: this.#number++ }));
  }

  #flush(): Uint8Array {
    const bytes = utf8(this.#pending);
    this.#pending = "";
    return bytes;
  }
}

const CONTENT = "response.content_part";

/** How the events of an item are called, and where in the item they belong. */
const NAMES = {
  text: { text: "response.output_text", part: CONTENT, place: { content_index: 0 } },
  reasoning: { text: "response.reasoning_text", part: CONTENT, place: { content_index: 0 } },
  summary: {
    text: "response.reasoning_summary_text",
    part: "response.reasoning_summary_part",
    place: { summary_index: 0 },
  },
  call: { text: "response.function_call_arguments", part: null, place: {} },
} as const;

/** All of an event up to its text. */
function deltaBegin(type: string, at: object): string {
  const fields = jsonLine({ type, ...at });
  return `event: ${type}\ndata: ${fields.slice(0, -1)},"delta":`;
}
