import type { ArkError, InferenceEvent, Message } from "@ark/node/protocol";
import { AnswerPieces, type PieceListener } from "../api/answer_pieces.ts";
import {
  failureBody,
  itemId,
  outputItem,
  responseBody,
  type ResponseHead,
  type ResponseState,
  usageBody,
} from "./response_body.ts";
import type { ResponseEcho } from "./response_question.ts";

type End = Extract<InferenceEvent, { type: "end" }>;

/** Options of {@linkcode ResponseAnswer}. */
export interface ResponseAnswerOptions {
  /** Which model was asked for; replaced by the name of the one that answers. */
  model: string;
  /** What the response says again of its request. */
  echo: ResponseEcho;
  /** Whether thoughts are told as their own summary. */
  summary: boolean;
  /** Told how the answer grows. */
  listener?: PieceListener;
}

/** A response while it is made, whether it is sent in one piece or as events. */
export class ResponseAnswer {
  /** What does not change, but for the model. */
  readonly head: ResponseHead;
  /** Whether thoughts are told as their own summary. */
  readonly summary: boolean;
  /** What was answered so far. */
  readonly pieces: AnswerPieces;
  #end: End | null = null;
  #ended: object | null = null;

  /** Begins a response with a new id. */
  constructor({ model, echo, summary, listener }: ResponseAnswerOptions) {
    this.summary = summary;
    const id = `resp_${crypto.randomUUID().replaceAll("-", "")}`;
    this.head = { id, created_at: seconds(), model, echo };
    this.pieces = new AnswerPieces(listener);
  }

  /**
   * Takes the next event.
   *
   * @throws {ArkError} `engine_failed`
   */
  take(event: InferenceEvent): void {
    if (event.type === "start") this.head.model = event.model;
    else if (event.type !== "end") this.pieces.take(event);
    else {
      this.#end = event;
      // Clients look for a text, also for an empty one.
      if (this.pieces.all.length === 0) this.pieces.begin();
      this.pieces.close();
    }
  }

  /** Whether a limit of tokens ended the answer. */
  get cut(): boolean {
    return this.#end?.finish_reason === "length";
  }

  /** The response before there is an answer. */
  begun(): object {
    return this.#body({ status: "in_progress", output: [] });
  }

  /** The response when the answer is complete: the same whenever it is asked for. */
  ended(): object {
    return this.#ended ??= this.#make();
  }

  /** The response when the answer broke off, with what there is of it. */
  failed(failure: ArkError): object {
    return this.#body({ status: "failed", output: this.#items("incomplete"), error: failureBody(failure) });
  }

  /** The answer as the assistant's message, for requests that go on from it. */
  message(): Message {
    const message: Message = { role: "assistant", content: "" };
    for (const { kind, text, call } of this.pieces.all) {
      if (kind === "text") message.content += text;
      else if (kind === "reasoning") message.reasoning = (message.reasoning ?? "") + text;
      else if (call !== null) (message.tool_calls ??= []).push({ ...call, arguments: text });
    }
    return message;
  }

  #make(): object {
    const usage = this.#end === null ? null : usageBody(this.#end.usage, this.pieces.reasoningTokens);
    if (this.cut) return this.#body({ status: "incomplete", output: this.#items("incomplete"), usage });
    return this.#body({ status: "completed", output: this.#items("completed"), completed_at: seconds(), usage });
  }

  /** Every item but the last is complete, however the answer ended. */
  #items(last: "completed" | "incomplete"): object[] {
    const { all } = this.pieces;
    return all.map((piece) => {
      const status = piece.index === all.length - 1 ? last : "completed";
      return outputItem(piece, { id: itemId(this.head.id, piece), status, summary: this.summary });
    });
  }

  #body(state: Partial<ResponseState> & Pick<ResponseState, "status" | "output">): object {
    return responseBody(this.head, { completed_at: null, error: null, usage: null, ...state });
  }
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000);
}
