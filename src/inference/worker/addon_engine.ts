import { ArkError, type GenerationParameters } from "@ark/node/protocol";
import type {
  Llama,
  LlamaContext,
  LlamaContextSequence,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
} from "node-llama-cpp";
import { detokenizeFor, promptModel } from "./addon_vocabulary.ts";
import { AnswerWriter, PENALTY_TOKENS } from "./answer_writer.ts";
import { type LlamaSettings, openBinding, searchLlama } from "./binding.ts";
import { Complaints } from "./complaints.ts";
import type { Detokenize } from "./detokenizer.ts";
import type { Engine, EngineGenerateOptions, EngineLoad, EngineModel, EngineRequest, EngineResult } from "./engine.ts";
import { logError } from "./log.ts";
import { PromptBuilder } from "./prompt.ts";
import { SAMPLING_DEFAULTS, seedOf } from "./sampling.ts";
import { threadsFor } from "./threads.ts";

/** The smallest context that is worth having. */
const LEAST_CONTEXT = 256;

/**
 * Tokens of a prompt that are computed at once. A cancel takes effect between two batches, so on a CPU, where a batch
 * of a large model takes seconds, they are smaller. The size is fixed, since it has a part in rounding and so in what
 * a seed leads to.
 */
const BATCH_TOKENS = { gpu: 512, cpu: 128 };

/** Everything that is there once a model is loaded. */
interface Loaded {
  model: LlamaModel;
  sequence: LlamaContextSequence;
  prompts: PromptBuilder;
  detokenize: Detokenize;
  batchTokens: number;
  /** The last token of the request before, which is not wanted and may still be computed. */
  settling: Promise<unknown>;
  /** Whose prompt the sequence's state is of. */
  principal: string | null;
}

/**
 * llama.cpp by node-llama-cpp's addon. One context with one sequence: the pinned 3.21.1 mixes up sequences of one
 * context. It never builds and never downloads; what the package brought along is what runs.
 *
 * Text is made of token ids here, not by the package's chat classes: they add a system prompt of their own and drop
 * leading spaces.
 */
export class AddonEngine implements Engine {
  #loaded: Loaded | undefined;

  /** Loads a model. */
  async load(options: EngineLoad): Promise<EngineModel> {
    const complaints = new Complaints();
    try {
      return await this.#load(options, complaints);
    } catch (error) {
      logError(error);
      throw new Error(complaints.reason(error, options), { cause: error });
    }
  }

  async #load(options: EngineLoad, logger: Complaints): Promise<EngineModel> {
    const { binding, path, parameters, context_size, threads, gpu, vram_reserve } = options;
    const addon = await import("node-llama-cpp");
    const { size } = await Deno.stat(path);
    const settings: LlamaSettings = {
      ...(vram_reserve === null ? {} : { vramPadding: vram_reserve }),
      logLevel: addon.LlamaLogLevel.warn,
      logger: (level, message) => logger.hear(level, message),
    };
    const llama = await (binding === null ? searchLlama(gpu, settings) : openBinding(binding, settings));
    const count = threads ?? threadsFor({ parameters, bytes: size, cores: llama.cpuMathCores });
    llama.maxThreads = count;
    const model = await loadModel(llama, path);
    const context = await createContext(model, { threads: count, most: context_size });
    this.#loaded = {
      model,
      sequence: context.getSequence(),
      prompts: new PromptBuilder(promptModel(model)),
      detokenize: detokenizeFor(model, addon.LlamaVocabularyType.bpe),
      batchTokens: llama.gpu === false ? BATCH_TOKENS.cpu : BATCH_TOKENS.gpu,
      settling: Promise.resolve(),
      principal: null,
    };
    return {
      context_size: context.contextSize,
      threads: count,
      gpu: llama.gpu === false ? null : llama.gpu,
      engine: `llama.cpp ${llama.llamaCppRelease.release}`,
      slots: 1,
    };
  }

  /** Answers one request. */
  async generate(request: EngineRequest, options: EngineGenerateOptions): Promise<EngineResult> {
    if (this.#loaded === undefined) throw new ArkError("engine_failed", "The engine has no model loaded");
    try {
      return await generate(this.#loaded, request, options);
    } catch (error) {
      if (error instanceof ArkError) throw error;
      logError(error);
      throw new ArkError("engine_failed", "The engine failed while it computed; its log has the details");
    }
  }
}

async function generate(
  loaded: Loaded,
  { input, parameters, principal, count_only }: EngineRequest,
  { sink, signal }: EngineGenerateOptions,
): Promise<EngineResult> {
  const { sequence } = loaded;
  await loaded.settling;
  // State from another principal goes first of all, before anything can fail.
  const reuse = loaded.principal === principal;
  if (!reuse) await sequence.clearHistory();
  loaded.principal = principal;
  if (input.kind !== "chat" && input.kind !== "completion") throw otherTask();
  const prepared = loaded.prompts.prepare(input, parameters);
  const prompt = prepared.tokens as Token[];
  const room = sequence.contextSize - prompt.length;
  if (room < 1) {
    throw new ArkError(
      "context_exceeded",
      `The prompt has ${prompt.length} tokens and the context ${sequence.contextSize}; shorten the prompt`,
    );
  }
  sink.start(prompt.length);
  if (count_only) return counted(prompt.length);
  const began = performance.now();
  const { last, reused } = await readPrompt(loaded, prompt, {
    mayReuse: reuse && parameters.seed === undefined,
    signal,
  });
  const most = Math.min(room, parameters.max_tokens ?? room);
  const writer = new AnswerWriter({ detokenize: loaded.detokenize, prepared, parameters });
  const tokens = sequence.evaluateWithMetadata(last, {}, evaluateOptions(writer.recent as Token[], parameters));
  let first = 0;
  let end = 0;
  let finish: EngineResult["finish_reason"] = "stop";
  try {
    let next = tokens.next();
    for (let count = 1;; count++) {
      const { done, value } = await next;
      end = performance.now();
      if (count === 1) first = end;
      if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
      if (done) break;
      if (count < most) {
        // The next token is computed in another thread while this one becomes text and goes out. It takes a turn of
        // the event loop, some microseconds, until the binding has handed it to that thread.
        next = quietly(tokens.next());
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { parts, stopped } = writer.push(value.token);
      for (const part of parts) sink.part(part);
      if (stopped) break;
      if (count < most) continue;
      finish = "length";
      break;
    }
  } finally {
    loaded.settling = quietly(tokens.return());
  }
  for (const part of writer.flush()) sink.part(part);
  const { stopText } = writer;
  return {
    finish_reason: writer.finishReason(finish),
    ...stopText === undefined ? {} : { stop_text: stopText },
    usage: { prompt_tokens: prompt.length, completion_tokens: writer.count, cached_tokens: reused },
    prompt_ms: first - began,
    generation_ms: end - first,
  };
}

function otherTask(): ArkError {
  return new ArkError("bad_request", "The model was loaded to write; it can neither embed nor put documents in order");
}

/** The end of a request that only asked how long its prompt is. */
function counted(prompt_tokens: number): EngineResult {
  const usage = { prompt_tokens, completion_tokens: 0, cached_tokens: 0 };
  return { finish_reason: "stop", usage, prompt_ms: 0, generation_ms: 0 };
}

/**
 * Brings the sequence to the state before the prompt's last batch, and returns that batch.
 *
 * Of the state that is there, the beginning that is the same is kept where it may be. Not with a seed: in how many
 * batches the prompt was computed has a part in rounding, and the same seed shall lead to the same text. Not with
 * models whose state cannot be cut (recurrent, sliding window): they would compute all of it in one go.
 */
async function readPrompt(
  { sequence, batchTokens }: Loaded,
  prompt: Token[],
  { mayReuse, signal }: { mayReuse: boolean; signal: AbortSignal },
): Promise<{ last: Token[]; reused: number }> {
  let done = 0;
  if (mayReuse && !sequence.needsCheckpoints) {
    done = Math.min(sequence.compareContextTokens(prompt).firstDifferentIndex, prompt.length - 1);
  }
  if (done === 0) await sequence.clearHistory();
  else await sequence.eraseContextTokenRanges([{ start: done, end: sequence.nextTokenIndex }]);
  const reused = done;
  for (; prompt.length - done > batchTokens; done += batchTokens) {
    if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(done, done + batchTokens));
  }
  if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
  return { last: prompt.slice(done), reused };
}

function evaluateOptions(recent: readonly Token[], parameters: GenerationParameters): SequenceEvaluateOptions {
  const { temperature, top_k, top_p, min_p } = { ...SAMPLING_DEFAULTS, ...parameters };
  const { frequency_penalty = 0, presence_penalty = 0, repeat_penalty = 1 } = parameters;
  const options: SequenceEvaluateOptions = {
    temperature,
    topK: top_k,
    topP: top_p,
    minP: min_p,
    seed: seedOf(parameters.seed),
  };
  const lookBack = parameters.repeat_last_n ?? PENALTY_TOKENS;
  if (lookBack === 0) return options;
  if (frequency_penalty !== 0 || presence_penalty !== 0 || repeat_penalty !== 1) {
    options.repeatPenalty = {
      punishTokens: () => [...recent],
      maxPunishTokens: lookBack,
      penalty: repeat_penalty,
      frequencyPenalty: frequency_penalty,
      presencePenalty: presence_penalty,
    };
  }
  return options;
}

/** Marks a promise as looked after: it is awaited later, or not at all where the answer ended before. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

async function loadModel(llama: Llama, path: string): Promise<LlamaModel> {
  return await llama.loadModel({ modelPath: path, gpuLayers: llama.gpu === false ? 0 : "auto" });
}

async function createContext(
  model: LlamaModel,
  { threads, most }: { threads: number; most: number },
): Promise<LlamaContext> {
  const max = Math.max(2, Math.min(most, model.trainContextSize));
  return await model.createContext({
    sequences: 1,
    contextSize: { min: Math.min(LEAST_CONTEXT, max), max },
    threads: { ideal: threads, min: threads },
  });
}
