import { ArkError, LIMITS, type ModelRef } from "@ark/node/protocol";
import type { Answers } from "../api/answers.ts";
import { collect } from "../api/answer_order.ts";
import { AnswerRun } from "../api/answer_run.ts";
import { invalid } from "../api/request_fault.ts";
import { given, modelOf, type RequestFields, requestFields } from "../api/request_fields.ts";
import type { Exchange } from "../api/serving.ts";
import { nanoseconds } from "./answer_lines.ts";
import { cutText } from "./cut_text.ts";
import { keepAliveMs } from "./keep_alive.ts";
import type { ModelKeeper } from "./model_keeper.ts";
import { modelOptions } from "./model_options.ts";
import { jsonAnswer } from "./ndjson.ts";
import { namedModel } from "./residency.ts";
import { sentJson } from "./sent_json.ts";
import { shortened, vectorRequest, type Vectors, vectorsOf } from "./vectors.ts";

/** What answers a request for vectors. */
export interface EmbeddingOptions {
  /** Answers it. */
  answers: Answers;
  /** Keeps this node's models, where it has any. */
  keeper: ModelKeeper | null;
  /** The request. */
  exchange: Exchange;
}

/** Texts whose vectors are wanted. */
interface Wanted {
  model: ModelRef;
  texts: string[];
  truncate: boolean;
  keepAliveMs: number | null | undefined;
}

/**
 * `POST /api/embed`: a text or a list of texts, as a list of vectors of length 1. A text that is too long is cut to what
 * the model can read, as Ollama does; `truncate: false` makes that an error.
 *
 * @throws {ArkError}
 */
export async function embed(request: Request, options: EmbeddingOptions): Promise<Response> {
  const began = performance.now();
  const fields = requestFields(await sentJson(request));
  const dimensions = dimensionsOf(fields);
  const wanted = { ...sharedOf(fields), texts: textsOf(given(fields, "input")), truncate: truncates(fields) };
  const found = await ask(request, wanted, options);
  return jsonAnswer({
    model: wanted.model,
    embeddings: found.vectors.map((vector) => shortened(vector, dimensions)),
    total_duration: nanoseconds(performance.now() - began),
    load_duration: nanoseconds(found.loadMs),
    prompt_eval_count: found.usage.prompt_tokens,
  });
}

/**
 * `POST /api/embeddings`, which Ollama had before: one text, one vector.
 *
 * @throws {ArkError}
 */
export async function embedding(request: Request, options: EmbeddingOptions): Promise<Response> {
  const fields = requestFields(await sentJson(request));
  const prompt = given(fields, "prompt") ?? "";
  if (typeof prompt !== "string") throw invalid("prompt", "must be a text");
  const wanted = { ...sharedOf(fields), texts: prompt === "" ? [] : [prompt], truncate: true };
  const { vectors: [vector = []] } = await ask(request, wanted, options);
  return jsonAnswer({ embedding: vector });
}

async function ask(request: Request, wanted: Wanted, options: EmbeddingOptions): Promise<Vectors> {
  const { exchange, answers, keeper } = options;
  const { model, texts, truncate } = wanted;
  if (texts.length === 0) {
    namedModel(model, { models: answers.models(), keeper });
    return { vectors: [], usage: { prompt_tokens: 0, completion_tokens: 0 }, loadMs: 0 };
  }
  const once = async (of: readonly string[]) => {
    const run = new AnswerRun(answers, {
      request: vectorRequest(model, of),
      client: request.signal,
      keepAliveMs: wanted.keepAliveMs,
    });
    exchange.run = run;
    return await vectorsOf(run, { texts: of.length });
  };
  try {
    return await once(texts);
  } catch (error) {
    if (!truncate || !isTooLong(error)) throw error;
  }
  await exchange.run?.stop();
  const limit = roomOf(model, options);
  const cut: string[] = [];
  // A text with fewer bytes than that has fewer tokens, too, whatever the model puts around it.
  const short = limit - 8;
  for (const text of texts) {
    const fits = new TextEncoder().encode(text).length <= short;
    cut.push(
      fits ? text : await cutText(text, { limit, count: (part) => tokensIn(part, { request, wanted, options }) }),
    );
  }
  return await once(cut);
}

/** Tokens that a text of a model may have, as far as that is known before. */
function roomOf(name: ModelRef, { answers, keeper }: EmbeddingOptions): number {
  const { model, here } = namedModel(name, { models: answers.models(), keeper });
  const running = here ? keeper?.running().find(({ id }) => id === model.id) : undefined;
  return Math.min(model.context_length, running?.contextSize ?? Infinity);
}

function isTooLong(error: unknown): boolean {
  return error instanceof ArkError && error.code === "context_exceeded";
}

/** Tokens of a text; infinity where they are more than an engine takes at all. */
async function tokensIn(
  text: string,
  { request, wanted, options }: { request: Request; wanted: Wanted; options: EmbeddingOptions },
): Promise<number> {
  const run = new AnswerRun(options.answers, {
    request: { ...vectorRequest(wanted.model, [text]), count_only: true },
    client: request.signal,
  });
  options.exchange.run = run;
  let tokens = 0;
  try {
    await collect(run, (event) => {
      if (event.type === "start") tokens = event.prompt_tokens;
    });
  } catch (error) {
    if (!isTooLong(error)) throw error;
    await run.stop();
    return Infinity;
  }
  return tokens;
}

/** Options say how a model is to write, which it does not here; they are looked at all the same. */
function sharedOf(fields: RequestFields): Pick<Wanted, "model" | "keepAliveMs"> {
  modelOptions(fields);
  return { model: modelOf(fields), keepAliveMs: keepAliveMs(given(fields, "keep_alive")) };
}

function textsOf(input: unknown): string[] {
  if (input === undefined || input === "") return [];
  if (typeof input === "string") return [input];
  if (!Array.isArray(input) || !input.every((text) => typeof text === "string")) {
    throw invalid("input", "must be a text or a list of texts");
  }
  if (input.length > LIMITS.embedTexts) throw invalid("input", `must have at most ${LIMITS.embedTexts} entries`);
  return input;
}

function truncates(fields: RequestFields): boolean {
  const truncate = given(fields, "truncate") ?? true;
  if (typeof truncate !== "boolean") throw invalid("truncate", "must be true or false");
  return truncate;
}

function dimensionsOf(fields: RequestFields): number | undefined {
  const dimensions = given(fields, "dimensions");
  if (dimensions === undefined) return undefined;
  if (!Number.isInteger(dimensions) || Number(dimensions) < 0) {
    throw invalid("dimensions", "must be a whole number");
  }
  return Number(dimensions) || undefined;
}
