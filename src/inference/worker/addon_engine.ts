import { ArkError } from "@ark/node/protocol";
import type { LlamaModel } from "node-llama-cpp";
import { type AddonWriter, writeAnswer } from "./addon_answer.ts";
import { answerMeaning, type Meaning, openMeaning } from "./addon_meaning.ts";
import { detokenizeFor, promptModel } from "./addon_vocabulary.ts";
import { type LlamaSettings, openBinding, searchLlama } from "./binding.ts";
import { Complaints } from "./complaints.ts";
import type { Engine, EngineGenerateOptions, EngineLoad, EngineModel, EngineRequest, EngineResult } from "./engine.ts";
import { logError } from "./log.ts";
import { PromptBuilder } from "./prompt.ts";
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
type Loaded = AddonWriter | Meaning;

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
  async load(options: EngineLoad, progress: (fraction: number) => void = () => {}): Promise<EngineModel> {
    const complaints = new Complaints();
    try {
      return await this.#load(options, { logger: complaints, progress });
    } catch (error) {
      logError(error);
      throw new Error(complaints.reason(error, options), { cause: error });
    }
  }

  async #load(
    options: EngineLoad,
    { logger, progress }: { logger: Complaints; progress: (fraction: number) => void },
  ): Promise<EngineModel> {
    const { binding, path, parameters, context_size, threads, gpu, vram_reserve, task } = options;
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
    const model = await llama.loadModel({
      modelPath: path,
      gpuLayers: llama.gpu === false ? 0 : "auto",
      onLoadProgress: progress,
    });
    const loaded = task === "generate"
      ? await openWriter(model, {
        threads: count,
        most: context_size,
        batchTokens: llama.gpu === false ? BATCH_TOKENS.cpu : BATCH_TOKENS.gpu,
        byteLevel: addon.LlamaVocabularyType.bpe,
      })
      : await openMeaning(model, { task, context_size, threads: count });
    this.#loaded = loaded;
    return {
      context_size: "sequence" in loaded ? loaded.sequence.contextSize : loaded.contextSize,
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
      return "sequence" in this.#loaded
        ? await writeAnswer(this.#loaded, request, options)
        : await answerMeaning(this.#loaded, request, options);
    } catch (error) {
      if (error instanceof ArkError) throw error;
      logError(error);
      throw new ArkError("engine_failed", "The engine failed while it computed; its log has the details");
    }
  }
}

async function openWriter(
  model: LlamaModel,
  { threads, most, batchTokens, byteLevel }: {
    threads: number;
    most: number;
    batchTokens: number;
    byteLevel: LlamaModel["vocabularyType"];
  },
): Promise<AddonWriter> {
  const max = Math.max(2, Math.min(most, model.trainContextSize));
  const context = await model.createContext({
    sequences: 1,
    contextSize: { min: Math.min(LEAST_CONTEXT, max), max },
    threads: { ideal: threads, min: threads },
  });
  return {
    model,
    sequence: context.getSequence(),
    prompts: new PromptBuilder(promptModel(model)),
    detokenize: detokenizeFor(model, byteLevel),
    batchTokens,
    settling: Promise.resolve(),
    principal: null,
  };
}
