import { type InferenceRequest, LIMITS } from "@ark/node/protocol";
import { type Answerer, AnswerRun } from "../api/answer_run.ts";
import { checkedRequest } from "../api/checked_request.ts";
import { gather, pickVector } from "../api/gather.ts";
import { invalid } from "../api/request_fault.ts";
import { given, modelOf, type RequestFields, requestFields } from "../api/request_fields.ts";
import { readJson } from "../api/request_json.ts";
import type { Exchange } from "../api/serving.ts";
import { BODY_BYTES } from "./answer_question.ts";
import { countOf } from "./generation_fields.ts";
import { textsOf } from "./texts.ts";
import { promptUsage } from "./usage.ts";
import { cutVector, vectorNumbers } from "./vector.ts";

/** Texts whose vectors are wanted, and how they are to be sent. */
export interface EmbeddingQuestion {
  /** What is asked. */
  request: InferenceRequest;
  /** How many numbers of each vector are wanted; null for all. */
  dimensions: number | null;
  /** As base64 of float32 in little-endian order, and not as numbers. */
  base64: boolean;
}

/**
 * Reads the body of `POST /v1/embeddings`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function embeddingQuestion(body: unknown): EmbeddingQuestion {
  const fields = requestFields(body);
  const model = modelOf(fields);
  const texts = textsOf(given(fields, "input"), "input", { most: LIMITS.embedTexts });
  const empty = texts.findIndex(({ length }) => length === 0);
  if (empty >= 0) throw invalid(texts.length === 1 ? "input" : `input[${empty}]`, "must not be empty");
  const dimensions = given(fields, "dimensions");
  return {
    request: checkedRequest({ model, input: { kind: "embed", texts }, parameters: {} }, (field) => field),
    dimensions: dimensions === undefined ? null : countOf(dimensions, "dimensions"),
    base64: encodingOf(fields) === "base64",
  };
}

/**
 * Answers `POST /v1/embeddings`: a vector for each text, in their order, each of length 1.
 *
 * @throws {ArkError} what is wrong with the question, or what the answer failed with.
 */
export async function answerEmbeddings(
  request: Request,
  { answers, exchange }: { answers: Answerer; exchange: Exchange },
): Promise<Response> {
  const question = embeddingQuestion(await readJson(request, BODY_BYTES));
  const { input } = question.request;
  const run = exchange.run = new AnswerRun(answers, { request: question.request, client: request.signal });
  const { model, end, values } = await gather(run, {
    count: input.kind === "embed" ? input.texts.length : 0,
    pick: pickVector,
    missing: "The engine left out the vector of a text; ask again",
  });
  const data = values.map((each, index) => ({ object: "embedding", index, embedding: written(each, question) }));
  return Response.json({ object: "list", data, model, usage: promptUsage(end) });
}

function written(values: string, { dimensions, base64 }: EmbeddingQuestion): string | number[] {
  const wanted = dimensions === null ? values : cutVector(values, dimensions);
  return base64 ? wanted : [...vectorNumbers(wanted)];
}

function encodingOf(fields: RequestFields): "float" | "base64" {
  const format = given(fields, "encoding_format") ?? "float";
  if (format === "float" || format === "base64") return format;
  throw invalid("encoding_format", "must be float or base64");
}
