import { readJson } from "../api/request_json.ts";
import { type Answerer, AnswerRun } from "../api/answer_run.ts";
import type { AnswerShape } from "./answer_shape.ts";
import { eventStream } from "./event_stream.ts";
import type { Question } from "./question.ts";
import type { Exchange } from "../api/serving.ts";
import { wholeAnswer } from "./whole_answer.ts";

/** Longest body of a question, in bytes: 16 MiB. */
const BODY_BYTES = 16 << 20;

/** How one of the two APIs is answered. */
export interface AnswerQuestionOptions {
  /** Answers the question. */
  answers: Answerer;
  /** Reads it. */
  read(body: unknown): Question;
  /** Writes the answer. */
  shape: AnswerShape;
  /** The request. */
  exchange: Exchange;
}

/**
 * Reads a question, asks, and answers in one piece or as events.
 *
 * @throws {ArkError} what is wrong with the question, or what the answer failed with.
 */
export async function answerQuestion(request: Request, options: AnswerQuestionOptions): Promise<Response> {
  const { answers, read, shape, exchange } = options;
  const question = read(await readJson(request, BODY_BYTES));
  const run = exchange.run = new AnswerRun(answers, { request: question.request, client: request.signal });
  const made = {
    shape,
    id: shape.idPrefix + crypto.randomUUID().replaceAll("-", ""),
    created: Math.floor(Date.now() / 1_000),
  };
  if (!question.stream) return Response.json(await wholeAnswer(run, made));
  const body = await eventStream(run, {
    ...made,
    includeUsage: question.includeUsage,
    failed: exchange.failed,
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      // nginx holds an answer back otherwise.
      "x-accel-buffering": "no",
    },
  });
}
