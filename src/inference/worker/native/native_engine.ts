import { ArkError } from "@ark/node/protocol";
import type { Llama } from "node-llama-cpp";
import { AnswerWriter } from "../answer_writer.ts";
import { type LlamaSettings, openBinding, searchBinding, searchLlama } from "../binding.ts";
import { Complaints } from "../complaints.ts";
import type { Engine, EngineGenerateOptions, EngineLoad, EngineModel, EngineRequest, EngineResult } from "../engine.ts";
import { logError } from "../log.ts";
import { PromptBuilder } from "../prompt.ts";
import { beginningOf, contextExceeded, finishedBefore, nothingComputed, promptIds, replay } from "../resumption.ts";
import { threadsFor } from "../threads.ts";
import { Candidates } from "./candidates.ts";
import { DecodeLoop } from "./decode_loop.ts";
import { Grammar } from "./grammar.ts";
import { Job } from "./job.ts";
import { Libraries } from "./libraries.ts";
import { LoadProgress } from "./load_progress.ts";
import { Loras } from "./lora_set.ts";
import { fitMemory } from "./memory_fit.ts";
import { NativeContext, NativeModel } from "./native_model.ts";
import { NativeVocabulary } from "./native_vocabulary.ts";
import { samplerChain } from "./sampler_chain.ts";
import { checkLibraries } from "./self_check.ts";
import { SequenceCache, type Slot } from "./sequence_cache.ts";
import { TokenSampler } from "./token_sampler.ts";

/** Slots that there may be. */
const MOST_SLOTS = 64;

/**
 * Tokens of a prompt that are computed at once. On a CPU, where a batch of a large model takes seconds, fewer: others
 * wait for it, and so does a cancel. The size has a part in rounding, so it depends on the model only, not on the load.
 */
const CHUNK_TOKENS = { gpu: 512, small: 256, large: 128 };
/** Parameters up to which a model is small. */
const SMALL_PARAMETERS = 2e9;

/** Everything that is there once a model is loaded. */
interface Loaded {
  libraries: Libraries;
  context: NativeContext;
  vocabulary: NativeVocabulary;
  candidates: Candidates;
  prompts: PromptBuilder;
  loras: Loras;
  cache: SequenceCache;
  loop: DecodeLoop;
}

/**
 * llama.cpp by Deno's foreign function interface, on the very libraries that node-llama-cpp ships: that package finds
 * the build for this machine, reckons what fits the memory and hands on the log, and all that computes is called directly.
 * Several sequences at once, in one batch; see {@linkcode DecodeLoop} and {@linkcode SequenceCache}.
 *
 * The process needs Deno's permission for the folder of the libraries until the model is loaded, and none afterwards.
 */
export class NativeEngine implements Engine {
  readonly #libraries: Libraries;
  #loaded: Loaded | undefined;

  private constructor(libraries: Libraries) {
    this.#libraries = libraries;
  }

  /**
   * Opens the libraries beside the addon of a build, and looks whether they are those that this engine was written for.
   *
   * @throws {Error} that says why they are not: the addon is to be used then.
   */
  static async open({ binding, gpu, vram_reserve }: EngineLoad): Promise<NativeEngine> {
    const { path } = binding ?? (await searchBinding(gpu, settingsFor(vram_reserve))).binding;
    const libraries = new Libraries(path);
    checkLibraries(libraries);
    return new NativeEngine(libraries);
  }

  /** Loads a model. */
  async load(options: EngineLoad, progress: (fraction: number) => void = () => {}): Promise<EngineModel> {
    const complaints = new Complaints();
    try {
      return await this.#load(options, { complaints, progress });
    } catch (error) {
      // What llama.cpp said is on its way from another thread.
      await new Promise((resolve) => setTimeout(resolve, 0));
      logError(error);
      throw new Error(complaints.reason(error, options), { cause: error });
    }
  }

  async #load(
    options: EngineLoad,
    { complaints, progress }: { complaints: Complaints; progress: (fraction: number) => void },
  ): Promise<EngineModel> {
    const { binding, path, parameters, context_size, threads, gpu, vram_reserve, slots } = options;
    const libraries = this.#libraries;
    const { size } = await Deno.stat(path);
    const { LlamaLogLevel } = await import("node-llama-cpp");
    const listener = new LoadProgress(complaints, progress);
    const settings: LlamaSettings = {
      ...settingsFor(vram_reserve),
      logLevel: LlamaLogLevel.warn,
      logger: (level, message) => listener.hear(level, message),
    };
    const llama = await (binding === null ? searchLlama(gpu, settings) : openBinding(binding, settings));
    const fit = await fitMemory(llama, path);
    llama.logLevel = LlamaLogLevel.info;
    const model = await NativeModel.load(libraries, { path, gpuLayers: fit.gpuLayers });
    llama.logLevel = LlamaLogLevel.warn;
    const count = threads ?? threadsFor({ parameters, bytes: size, cores: llama.cpuMathCores });
    const most = Math.min(context_size, model.trainedContext);
    const fitted = await fit.context(most, Math.max(1, Math.min(slots, MOST_SLOTS)));
    const chunkTokens = chunkTokensFor(llama, parameters);
    const context = new NativeContext(libraries, model, { ...fitted, chunkTokens, threads: count });
    const vocabulary = new NativeVocabulary(libraries, model);
    const candidates = new Candidates(libraries, vocabulary.size);
    const loras = new Loras(libraries, model, options.loras);
    const rules = { chunkTokens, cuttable: model.cuttable };
    const cache = new SequenceCache(fitted.slots, rules, (sequence, from) => context.forget(sequence, from));
    const prompts = new PromptBuilder(vocabulary.promptModel());
    const loop = new DecodeLoop({
      libraries,
      context,
      vocabulary,
      candidates,
      loras,
      cache,
      breakable: model.cuttable,
    });
    warmUp(context);
    this.#loaded = { libraries, context, vocabulary, candidates, prompts, loras, cache, loop };
    return {
      context_size: context.layout.contextSize,
      threads: count,
      gpu: llama.gpu === false ? null : llama.gpu,
      engine: `llama.cpp ${llama.llamaCppRelease.release}, native`,
      slots: fitted.slots,
    };
  }

  /** Answers one request. */
  async generate(request: EngineRequest, options: EngineGenerateOptions): Promise<EngineResult> {
    if (this.#loaded === undefined) throw new ArkError("engine_failed", "The engine has no model loaded");
    const relax = request.urgent && !request.count_only ? this.#loaded.loop.hurry() : null;
    try {
      return await generate(this.#loaded, request, options);
    } catch (error) {
      if (error instanceof ArkError) throw error;
      logError(error);
      throw new ArkError("engine_failed", "The engine failed while it computed; its log has the details");
    } finally {
      relax?.();
    }
  }
}

async function generate(
  loaded: Loaded,
  request: EngineRequest,
  { sink, signal }: EngineGenerateOptions,
): Promise<EngineResult> {
  const { parameters, principal, count_only, urgent = false } = request;
  const { context, vocabulary, prompts, cache, loop } = loaded;
  // State from another principal goes first of all, before anything can fail.
  if (!count_only) {
    await loop.still();
    cache.reserve(principal, { urgent });
  }
  const { prepared, written, tokens } = beginningOf(request, { prompts, vocabularySize: vocabulary.size });
  const prompt = prepared.tokens;
  checkTokens(prompt, vocabulary.size);
  const { contextSize } = context.layout;
  const room = contextSize - tokens.length;
  if (room < 1) throw contextExceeded({ tokens: tokens.length, written: written.length, contextSize });
  const begin = () => sink.start(prompt.length, promptIds(request, prompt));
  if (count_only) {
    begin();
    return nothingComputed({ finish_reason: "stop", promptTokens: prompt.length });
  }
  if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
  const loras = loaded.loras.set(parameters.lora);
  const writer = new AnswerWriter({
    detokenize: vocabulary.detokenize,
    prepared,
    parameters,
    ids: request.ids === true,
  });
  const sampler = samplerOf(loaded, { grammar: prepared.grammar, parameters, tokens, written: written.length });
  const exact = parameters.seed !== undefined;
  let slot: Slot | undefined;
  try {
    const isEnd = (token: number) => vocabulary.isEnd(token);
    if (!await replay(written, { writer, accept: (token) => sampler.accept(token), isEnd, signal })) {
      begin();
      return finishedBefore(writer, { sink, promptTokens: prompt.length });
    }
    await loop.still();
    slot = cache.take({ principal, variant: loras.variant, prompt: tokens, exact, urgent });
    if (slot === undefined) throw new ArkError("busy", "The engine has no free slot");
  } finally {
    if (slot === undefined) sampler.free();
  }
  const most = Math.min(room, parameters.max_tokens ?? room);
  const part = (each: Parameters<typeof sink.part>[0]) => sink.part(each);
  const job = new Job({
    prompt: tokens,
    promptTokens: prompt.length,
    slot,
    most,
    logprobs: parameters.logprobs,
    loras,
    sampler,
    writer,
    part,
    signal,
    urgent,
    exact,
  });
  begin();
  loop.add(job);
  return await job.done;
}

/** Memory of the GPU that stays free; what is not said is left to the package. */
function settingsFor(vramReserve: number | null): LlamaSettings {
  return vramReserve === null ? {} : { vramPadding: vramReserve };
}

function samplerOf(
  { libraries, context, vocabulary, candidates }: Loaded,
  { grammar, parameters, tokens, written }: Pick<EngineRequest, "parameters"> & {
    grammar: ConstructorParameters<typeof Grammar>[1]["grammar"] | null;
    tokens: readonly number[];
    written: number;
  },
): TokenSampler {
  const rules = grammar === null ? null : new Grammar(libraries, { grammar, vocabulary, candidates });
  const chain = samplerChain(libraries, { parameters, tokens, written, vocabularySize: vocabulary.size });
  const isEnd = (token: number) => vocabulary.isEnd(token);
  return new TokenSampler(libraries, { chain, grammar: rules, candidates, context: context.pointer, isEnd });
}

/** Tokens come from the request where it has a prompt in tokens: C takes them as they are. */
function checkTokens(tokens: readonly number[], size: number): void {
  if (tokens.length === 0) throw new ArkError("bad_request", "The prompt is empty; ask something");
  if (tokens.every((token) => Number.isInteger(token) && token >= 0 && token < size)) return;
  throw new ArkError("bad_request", `The prompt has a token that the model has not; its tokens are 0 to ${size - 1}`);
}

/** Brings the weights into memory, and makes the room for results: the first request should not wait for that. */
function warmUp(context: NativeContext): void {
  context.batch.clear();
  context.batch.add(0, { sequence: 0, position: 0, output: true });
  context.decode();
  context.clear();
}

function chunkTokensFor(llama: Llama, parameters: number): number {
  if (llama.gpu !== false) return CHUNK_TOKENS.gpu;
  return parameters <= SMALL_PARAMETERS ? CHUNK_TOKENS.small : CHUNK_TOKENS.large;
}
