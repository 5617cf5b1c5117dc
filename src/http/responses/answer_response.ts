import type { Answers } from "../api/answers.ts";
import { collect } from "../api/answer_order.ts";
import { AnswerRun } from "../api/answer_run.ts";
import { answerStream } from "../api/answer_stream.ts";
import { readJson } from "../api/request_json.ts";
import { EVENT_HEADERS, utf8 } from "../api/server_events.ts";
import type { Exchange } from "../api/serving.ts";
import type { InputItem } from "./input_items.ts";
import { KeptLookup } from "./kept_lookup.ts";
import { ResponseAnswer } from "./response_answer.ts";
import { type ResponseQuestion, responseQuestion } from "./response_question.ts";
import type { ResponseShelf } from "./response_shelf.ts";
import { ResponseWriter } from "./response_writer.ts";

/** Longest body of a question, in bytes: 16 MiB. */
const BODY_BYTES = 16 << 20;

const KEEP_ALIVE = utf8(": keep-alive\n\n");

/** What a question is answered with. */
export interface AnswerResponseOptions {
  /** Answers it. */
  answers: Answers;
  /** The request. */
  exchange: Exchange;
  /** Keeps the answer. */
  shelf: ResponseShelf;
}

/**
 * `POST /v1/responses`: reads a question, asks, keeps the answer, and sends it in one piece or as events.
 *
 * @throws {ArkError} what is wrong with the question, or what the answer failed with.
 */
export async function answerResponse(request: Request, options: AnswerResponseOptions): Promise<Response> {
  const { answers, exchange, shelf } = options;
  const { question, run } = await begin(request, options);
  const made = { model: question.request.model, echo: question.echo, summary: question.summary };
  const complete = (answer: ResponseAnswer) => keep(answer, { shelf, answers, question });
  if (question.stream) {
    const writer = new ResponseWriter({ ...made, complete });
    const body = await answerStream(run, { writer, keepAlive: KEEP_ALIVE, failed: exchange.failed });
    return new Response(body, { headers: EVENT_HEADERS });
  }
  const answer = new ResponseAnswer(made);
  await collect(run, (event) => answer.take(event));
  const body = answer.ended();
  complete(answer);
  return Response.json(body);
}

/**
 * `POST /v1/responses/input_tokens`: only how long the prompt is.
 *
 * @throws {ArkError}
 */
export async function countResponse(request: Request, options: AnswerResponseOptions): Promise<Response> {
  const { run } = await begin(request, { ...options, countOnly: true });
  let input_tokens = 0;
  await collect(run, (event) => {
    if (event.type === "start") input_tokens = event.prompt_tokens;
  });
  return Response.json({ object: "response.input_tokens", input_tokens });
}

interface BeginOptions extends AnswerResponseOptions {
  countOnly?: boolean;
}

async function begin(
  request: Request,
  { answers, exchange, shelf, countOnly = false }: BeginOptions,
): Promise<{ question: ResponseQuestion; run: AnswerRun }> {
  const kept = new KeptLookup(shelf, answers.sender?.key ?? null);
  const question = responseQuestion(await readJson(request, BODY_BYTES), kept);
  const asked = countOnly ? { ...question.request, count_only: true as const } : question.request;
  const run = new AnswerRun(answers, { request: asked, client: request.signal, localOnly: question.localOnly });
  exchange.run = run;
  return { question, run };
}

/** Keeps an answer unless its sender does not want that. */
function keep(
  answer: ResponseAnswer,
  { shelf, answers, question }: { shelf: ResponseShelf; answers: Answers; question: ResponseQuestion },
): void {
  if (!question.store) return;
  const { id } = answer.head;
  const { key = null, localOnly = false } = answers.sender ?? {};
  shelf.put(key, {
    id,
    body: JSON.stringify(answer.ended()),
    items: JSON.stringify(question.items.map((item, index) => ({ id: inputId(item, { id, index }), ...item }))),
    messages: [...question.messages, answer.message()],
    localOnly: localOnly || question.localOnly,
  });
}

const PREFIXES: Readonly<Record<string, string>> = {
  function_call: "fc",
  function_call_output: "fco",
  reasoning: "rs",
};

function inputId({ type }: InputItem, { id, index }: { id: string; index: number }): string {
  // The answer's own items are counted from 0 in four digits.
  return `${PREFIXES[type] ?? "msg"}_${id.slice("resp_".length)}i${index.toString(16).padStart(4, "0")}`;
}
