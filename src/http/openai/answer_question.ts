import type { Answerer } from "../api/answer_run.ts";
import { orderedStream } from "../api/answer_stream.ts";
import { readJson } from "../api/request_json.ts";
import { EVENT_HEADERS } from "../api/server_events.ts";
import type { Exchange } from "../api/serving.ts";
import { AnswerRuns, ChoicesOrder } from "./answer_runs.ts";
import { ChunkWriter } from "./chunk_writer.ts";
import type { Question } from "./question.ts";
import { KEEP_ALIVE } from "./sse.ts";
import { wholeAnswer } from "./whole_answer.ts";

/** Longest body of a question, in bytes: 16 MiB. */
export const BODY_BYTES: number = 16 << 20;

/** How one of the two APIs is answered. */
export interface AnswerQuestionOptions {
  /** Answers the question. */
  answers: Answerer;
  /** Reads it. */
  read(body: unknown): Question;
  /** The request. */
  exchange: Exchange;
}

/**
 * Reads a question, asks, and answers in one piece or as events.
 *
 * @throws {ArkError} what is wrong with the question, or what the answer failed with.
 */
export async function answerQuestion(request: Request, options: AnswerQuestionOptions): Promise<Response> {
  const { answers, read, exchange } = options;
  const { requests, shape, perPrompt, stream, includeUsage } = read(await readJson(request, BODY_BYTES));
  const runs = exchange.run = new AnswerRuns(answers, { requests, client: request.signal });
  const made = {
    shape,
    id: shape.idPrefix + crypto.randomUUID().replaceAll("-", ""),
    created: Math.floor(Date.now() / 1_000),
    perPrompt,
  };
  if (!stream) return Response.json(await wholeAnswer(runs, made));
  const body = await orderedStream(runs, {
    writer: new ChunkWriter({ ...made, size: runs.size, includeUsage }),
    order: new ChoicesOrder(runs.size),
    keepAlive: KEEP_ALIVE,
    failed: exchange.failed,
  });
  return new Response(body, { headers: EVENT_HEADERS });
}
