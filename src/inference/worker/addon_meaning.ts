import { ArkError, type EmbedInput, type RerankInput } from "@ark/node/protocol";
import type { LlamaEmbeddingContext, LlamaModel, LlamaRankingContext, Token } from "node-llama-cpp";
import { vocabularySize } from "./addon_vocabulary.ts";
import type { EngineGenerateOptions, EngineLoad, EngineRequest, EngineResult } from "./engine.ts";
import { nothingToResume } from "./resumption.ts";

/** A model that is loaded for what texts mean. */
export type Meaning =
  | { task: "embed"; model: LlamaModel; context: LlamaEmbeddingContext; contextSize: number }
  | { task: "rerank"; model: LlamaModel; context: LlamaRankingContext; contextSize: number };

/** Makes the context of a model that embeds or ranks. */
export async function openMeaning(
  model: LlamaModel,
  { task, context_size, threads }: Pick<EngineLoad, "context_size"> & { task: "embed" | "rerank"; threads: number },
): Promise<Meaning> {
  // What is pooled must be in one batch, so a batch holds a whole text.
  const size = Math.max(2, Math.min(context_size, model.trainContextSize));
  const options = { contextSize: size, batchSize: size, threads };
  if (task === "embed") {
    const context = await model.createEmbeddingContext(options);
    return { task, model, context, contextSize: size };
  }
  const context = await model.createRankingContext(options);
  return { task, model, context, contextSize: size };
}

/** Answers a request with vectors or scores. */
export async function answerMeaning(
  meaning: Meaning,
  { input, count_only, resume }: EngineRequest,
  options: EngineGenerateOptions,
): Promise<EngineResult> {
  if (resume !== undefined) throw nothingToResume();
  if (meaning.task === "embed" && input.kind === "embed") {
    return await embed(meaning, input, { ...options, countOnly: count_only === true });
  }
  if (meaning.task === "rerank" && input.kind === "rerank") {
    return await rerank(meaning, input, { ...options, countOnly: count_only === true });
  }
  throw new ArkError(
    "bad_request",
    meaning.task === "embed"
      ? "The model was loaded to turn texts into vectors; it can neither write nor put documents in order"
      : "The model was loaded to put documents in order; it can neither write nor turn texts into vectors",
  );
}

type Options = EngineGenerateOptions & { countOnly: boolean };

async function embed(
  { model, context, contextSize }: Extract<Meaning, { task: "embed" }>,
  { texts }: EmbedInput,
  { sink, signal, countOnly }: Options,
): Promise<EngineResult> {
  const began = performance.now();
  const most = vocabularySize(model);
  const inputs = texts.map((text): Token[] => {
    if (text.length === 0) return beginning(model);
    if (typeof text === "string") return plainTokens(model, text);
    if (text.some((token) => token >= most)) {
      throw new ArkError("bad_request", `The model has ${most} tokens, and a token of the input is none of them`);
    }
    return text as Token[];
  });
  const lengths = inputs.map((tokens) => context.calculateInputLength([...tokens]));
  lengths.forEach((length) => checkLength(length, contextSize));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  sink.start(total);
  for (const [index, tokens] of countOnly ? [] : inputs.entries()) {
    checkCancelled(signal);
    const { vector } = await context.getEmbeddingFor([...tokens]);
    sink.part({ type: "vector", index, values: encoded(vector) });
  }
  checkCancelled(signal);
  return ended(total, began);
}

async function rerank(
  { model, context, contextSize }: Extract<Meaning, { task: "rerank" }>,
  { query, documents }: RerankInput,
  { sink, signal, countOnly }: Options,
): Promise<EngineResult> {
  const began = performance.now();
  const wanted = plainTokens(model, query);
  const inputs = documents.map((document) => plainTokens(model, document));
  const lengths = inputs.map((tokens) => context.calculateInputLength([...wanted], [...tokens]));
  lengths.forEach((length) => checkLength(length, contextSize));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  sink.start(total);
  for (const [index, tokens] of countOnly ? [] : inputs.entries()) {
    checkCancelled(signal);
    const score = await context.rank([...wanted], [...tokens]);
    if (!Number.isFinite(score)) throw new ArkError("engine_failed", "The model gave a document no score");
    sink.part({ type: "score", index, score: Math.min(1, Math.max(0, score)) });
  }
  checkCancelled(signal);
  return ended(total, began);
}

/** What stands for an empty text: the token that every text begins with. */
function beginning(model: LlamaModel): Token[] {
  const { bos } = model.tokens;
  if (bos === null) throw new ArkError("bad_request", "An empty text has no meaning for this model");
  return [bos];
}

/** Tokens of a text that speaks no control language. */
function plainTokens(model: LlamaModel, text: string): Token[] {
  const markup = false;
  return model.tokenize(text, markup);
}

function checkLength(length: number, contextSize: number): void {
  if (length < contextSize) return;
  throw new ArkError(
    "context_exceeded",
    `A text has ${length} tokens and the context ${contextSize}, one of which stays free; shorten the text`,
  );
}

function checkCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
}

/** A vector of length 1 as float32, little-endian, in base64. */
function encoded(vector: readonly number[]): string {
  const length = Math.hypot(...vector);
  if (!(length > 0 && length < Infinity)) throw new ArkError("engine_failed", "The model gave a text no direction");
  const bytes = new DataView(new ArrayBuffer(4 * vector.length));
  const littleEndian = true;
  vector.forEach((value, at) => bytes.setFloat32(4 * at, value / length, littleEndian));
  return new Uint8Array(bytes.buffer).toBase64();
}

function ended(tokens: number, began: number): EngineResult {
  return {
    finish_reason: "stop",
    usage: { prompt_tokens: tokens, completion_tokens: 0, cached_tokens: 0 },
    prompt_ms: performance.now() - began,
    generation_ms: 0,
  };
}
