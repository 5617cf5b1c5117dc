import type { Answers } from "../api/answers.ts";
import { collect } from "../api/answer_order.ts";
import { AnswerRun } from "../api/answer_run.ts";
import { answerStream } from "../api/answer_stream.ts";
import type { Exchange } from "../api/serving.ts";
import { AnswerLines, lineWriter } from "./answer_lines.ts";
import type { ModelKeeper } from "./model_keeper.ts";
import { jsonAnswer, jsonLine, linesAnswer, NDJSON_TYPE } from "./ndjson.ts";
import type { Question } from "./question.ts";
import { namedModel, settleResidency } from "./residency.ts";
import { sentJson } from "./sent_json.ts";
import { nothing, ToldAnswer } from "./told_answer.ts";

/** How one of the two calls is answered. */
export interface AnswerQuestionOptions {
  /** Answers the question. */
  answers: Answers;
  /** Keeps this node's models, where it has any. */
  keeper: ModelKeeper | null;
  /** Reads it. */
  read(body: unknown): Question;
  /** The request. */
  exchange: Exchange;
}

/**
 * Reads a question, asks, and answers in lines or in one piece. A question without anything to say loads or unloads its
 * model.
 *
 * @throws {ArkError} what is wrong with the question, or what the answer failed with.
 */
export async function answerQuestion(request: Request, options: AnswerQuestionOptions): Promise<Response> {
  const { answers, keeper, read, exchange } = options;
  const began = performance.now();
  const { model, request: asked, shape, stream, keepAliveMs } = read(await sentJson(request));
  const lines = new AnswerLines(shape, { model, began });
  if (asked === null) {
    const named = namedModel(model, { models: answers.models(), keeper });
    const body = lines.idle(await settleResidency({ named, keepAliveMs, signal: request.signal }, keeper));
    return stream ? new Response(jsonLine(body), { headers: { "content-type": NDJSON_TYPE } }) : jsonAnswer(body);
  }
  const run = exchange.run = new AnswerRun(answers, { request: asked, client: request.signal, keepAliveMs });
  if (!stream) return jsonAnswer(await wholeAnswer(run, lines));
  // NDJSON has no comments, so a sign of life is a line that says nothing.
  const keepAlive = lines.part(nothing());
  return linesAnswer(await answerStream(run, { writer: lineWriter(lines), keepAlive, failed: exchange.failed }));
}

async function wholeAnswer(run: AnswerRun, lines: AnswerLines): Promise<object> {
  const answer = new ToldAnswer();
  await collect(run, (event) => answer.take(event));
  const { end, text } = answer;
  if (end === null) throw new TypeError("An answer that was collected has an end");
  return lines.last(answer.news() ?? nothing(), { end, text });
}
