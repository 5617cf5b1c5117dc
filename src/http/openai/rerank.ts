import { type InferenceRequest, LIMITS } from "@ark/node/protocol";
import { isObject, textOf } from "../api/call_fields.ts";
import { type Answerer, AnswerRun } from "../api/answer_run.ts";
import { checkedRequest } from "../api/checked_request.ts";
import { gather } from "../api/gather.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, modelOf, type RequestFields, requestFields } from "../api/request_fields.ts";
import { readJson } from "../api/request_json.ts";
import type { Exchange } from "../api/serving.ts";
import { BODY_BYTES } from "./answer_question.ts";
import { countOf } from "./generation_fields.ts";
import { promptUsage } from "./usage.ts";

/** Documents that are to be put in order, and how the order is to be told. */
export interface RerankQuestion {
  /** What is asked. */
  request: InferenceRequest;
  /** The documents, as they are given back. */
  documents: readonly string[];
  /** How many of the best are wanted. */
  most: number;
  /** Whether each result has its document's text. */
  withText: boolean;
  /** Whose shape the answer has: Jina's, or that of Hugging Face's text-embeddings-inference. */
  shape: "jina" | "tei";
}

/**
 * Reads the body of `POST /v1/rerank`: Jina's with `documents`, or text-embeddings-inference's with `texts`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function rerankQuestion(body: unknown): RerankQuestion {
  const fields = requestFields(body);
  const model = modelOf(fields);
  const shape = given(fields, "documents") === undefined && given(fields, "texts") !== undefined ? "tei" : "jina";
  const at = shape === "tei" ? "texts" : "documents";
  if (shape === "tei" && givenFlag(fields, "raw_scores")) {
    throw unsupported("raw_scores", "must be false: this node tells scores from 0 to 1 alone");
  }
  const query = documentOf(given(fields, "query"), "query");
  const documents = documentsOf(given(fields, at), at);
  const input = { kind: "rerank", query, documents };
  return {
    request: checkedRequest({ model, input, parameters: {} }, (field) => field),
    documents,
    most: Math.min(documents.length, countOf(given(fields, "top_n") ?? documents.length, "top_n")),
    withText: givenFlag(fields, shape === "tei" ? "return_text" : "return_documents"),
    shape,
  };
}

/**
 * Answers `POST /v1/rerank`: the best documents, the best first.
 *
 * @throws {ArkError} what is wrong with the question, or what the answer failed with.
 */
export async function answerRerank(
  request: Request,
  { answers, exchange }: { answers: Answerer; exchange: Exchange },
): Promise<Response> {
  const question = rerankQuestion(await readJson(request, BODY_BYTES));
  const { documents, most, shape, withText } = question;
  const run = exchange.run = new AnswerRun(answers, { request: question.request, client: request.signal });
  const { model, end, values } = await gather(run, {
    count: documents.length,
    pick: (event) => event.type === "score" ? { index: event.index, value: event.score } : undefined,
    missing: "The engine left out the score of a document; ask again",
  });
  const ranked = documents.map((text, index) => ({ index, text, score: values[index] ?? 0 }))
    .sort((a, b) => b.score - a.score || a.index - b.index).slice(0, most);
  if (shape === "tei") {
    return Response.json(ranked.map(({ index, text, score }) => ({ index, score, ...withText ? { text } : {} })));
  }
  const results = ranked.map(({ index, text, score }) => {
    return { index, relevance_score: score, ...withText ? { document: { text } } : {} };
  });
  return Response.json({ object: "list", model, usage: promptUsage(end), results });
}

function documentsOf(value: unknown, at: string): string[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid(at, "must be a non-empty list of texts");
  if (value.length > LIMITS.rerankDocuments) throw invalid(at, `must have at most ${LIMITS.rerankDocuments} entries`);
  return value.map((each, index) => documentOf(each, `${at}[${index}]`));
}

/** A text, or an object with one. */
function documentOf(value: unknown, at: string): string {
  if (!isObject(value)) return textOf(value, at);
  return textOf(given(value as RequestFields, "text"), `${at}.text`);
}
