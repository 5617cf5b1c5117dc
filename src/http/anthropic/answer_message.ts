import type { Answers } from "../api/answers.ts";
import { collect } from "../api/answer_order.ts";
import { AnswerPieces } from "../api/answer_pieces.ts";
import { AnswerRun } from "../api/answer_run.ts";
import { answerStream } from "../api/answer_stream.ts";
import { readJson } from "../api/request_json.ts";
import { EVENT_HEADERS, utf8 } from "../api/server_events.ts";
import type { Exchange } from "../api/serving.ts";
import { type AnswerEnd, block, messageBody, stopped, usageBody } from "./message_body.ts";
import { countQuestion, messageQuestion } from "./message_question.ts";
import { MessageWriter, PING } from "./message_writer.ts";

/** Longest body of a question, in bytes: 16 MiB. */
const BODY_BYTES = 16 << 20;

const KEEP_ALIVE = utf8(PING);

/** What a question is answered with. */
export interface AnswerMessageOptions {
  /** Answers it. */
  answers: Answers;
  /** The request. */
  exchange: Exchange;
}

/**
 * `POST /v1/messages`: reads a question, asks, and answers in one piece or as events.
 *
 * @throws {ArkError} what is wrong with the question, or what the answer failed with.
 */
export async function answerMessage(request: Request, options: AnswerMessageOptions): Promise<Response> {
  const { answers, exchange } = options;
  const { request: asked, stream } = messageQuestion(await readJson(request, BODY_BYTES));
  const run = exchange.run = new AnswerRun(answers, { request: asked, client: request.signal });
  const id = `msg_${crypto.randomUUID().replaceAll("-", "")}`;
  const stop = asked.parameters.stop ?? [];
  if (!stream) return Response.json(await wholeMessage(run, { id, stop }), { headers: { "request-id": exchange.id } });
  const writer = new MessageWriter({ id, stop, requestId: exchange.id });
  const body = await answerStream(run, { writer, keepAlive: KEEP_ALIVE, failed: exchange.failed });
  return new Response(body, { headers: { ...EVENT_HEADERS, "request-id": exchange.id } });
}

/**
 * `POST /v1/messages/count_tokens`: only how long the prompt is.
 *
 * @throws {ArkError}
 */
export async function countMessage(request: Request, { answers, exchange }: AnswerMessageOptions): Promise<Response> {
  const { request: asked } = countQuestion(await readJson(request, BODY_BYTES));
  const counted = { ...asked, count_only: true as const };
  const run = exchange.run = new AnswerRun(answers, { request: counted, client: request.signal });
  let input_tokens = 0;
  await collect(run, (event) => {
    if (event.type === "start") input_tokens = event.prompt_tokens;
  });
  return Response.json({ input_tokens }, { headers: { "request-id": exchange.id } });
}

async function wholeMessage(run: AnswerRun, { id, stop }: { id: string; stop: readonly string[] }): Promise<object> {
  const pieces = new AnswerPieces();
  let model = "";
  let end: AnswerEnd | undefined;
  await collect(run, (event) => {
    if (event.type === "start") model = event.model;
    else if (event.type === "end") end = event;
    else pieces.take(event);
  });
  // `collect` has seen both, which the compiler cannot know.
  if (end === undefined) throw new TypeError("An answer has an end");
  const { finish_reason, usage } = end;
  const last = pieces.all.length - 1;
  const content = pieces.all.map((piece) => block(piece, { cut: finish_reason === "length" && piece.index === last }));
  return messageBody({ id, model }, {
    content,
    ...stopped(end, stop),
    usage: usageBody(usage, pieces.reasoningTokens),
  });
}
