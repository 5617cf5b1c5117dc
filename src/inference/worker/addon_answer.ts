import { ArkError, type GenerationParameters, type TokenChance, type TokenLogprob } from "@ark/node/protocol";
import type {
  LlamaContextSequence,
  LlamaGrammarEvaluationState,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
  TokenBias,
} from "node-llama-cpp";
import { AddonGrammar } from "./addon_grammar.ts";
import { vocabularySize } from "./addon_vocabulary.ts";
import { AnswerWriter, PENALTY_TOKENS } from "./answer_writer.ts";
import type { Detokenize } from "./detokenizer.ts";
import type { EngineGenerateOptions, EngineRequest, EngineResult } from "./engine.ts";
import type { PromptBuilder } from "./prompt.ts";
import { beginningOf, contextExceeded, finishedBefore, nothingComputed, promptIds, replay } from "./resumption.ts";
import { SAMPLING_DEFAULTS, seedOf } from "./sampling.ts";

/** The least logarithm of a probability: that of zero is no number in JSON. */
const LEAST_LOGPROB = -1e4;

/** A model that is loaded to write. */
export interface AddonWriter {
  /** The model. */
  model: LlamaModel;
  /** The only sequence of its only context. */
  sequence: LlamaContextSequence;
  /** Makes prompts. */
  prompts: PromptBuilder;
  /** Turns tokens into text. */
  detokenize: Detokenize;
  /** Tokens of a prompt that are computed at once. */
  batchTokens: number;
  /** The last token of the request before, which is not wanted and may still be computed. */
  settling: Promise<unknown>;
  /** Whose prompt the sequence's state is of. */
  principal: string | null;
}

/** Writes one answer. */
export async function writeAnswer(
  loaded: AddonWriter,
  request: EngineRequest,
  { sink, signal }: EngineGenerateOptions,
): Promise<EngineResult> {
  const { parameters, principal, count_only } = request;
  const { sequence, model } = loaded;
  refuseWhatIsNotThere(parameters);
  await loaded.settling;
  // State from another principal goes first of all, before anything can fail.
  const reuse = loaded.principal === principal;
  if (!reuse) await sequence.clearHistory();
  loaded.principal = principal;
  const { prepared, written, tokens: all } = beginningOf(request, {
    prompts: loaded.prompts,
    vocabularySize: vocabularySize(model),
  });
  const prompt = prepared.tokens;
  const { contextSize } = sequence;
  const room = contextSize - all.length;
  if (room < 1) throw contextExceeded({ tokens: all.length, written: written.length, contextSize });
  const begin = () => sink.start(prompt.length, promptIds(request, prompt));
  if (count_only) {
    begin();
    return nothingComputed({ finish_reason: "stop", promptTokens: prompt.length });
  }
  const began = performance.now();
  const grammar = prepared.grammar === null ? null : await AddonGrammar.read(model, prepared.grammar);
  const tokenBias = await biasOf(model, parameters.logit_bias ?? []);
  const writer = new AnswerWriter({
    detokenize: loaded.detokenize,
    prepared,
    parameters,
    ids: request.ids === true,
  });
  const accept = (token: number) => grammar?.replay(token as Token) ?? true;
  const isEnd = (token: number) => model.isEogToken(token as Token);
  const goesOn = await replay(written, { writer, accept, isEnd, signal });
  begin();
  if (!goesOn) return finishedBefore(writer, { sink, promptTokens: prompt.length });
  const { last, reused } = await readPrompt(loaded, all as Token[], {
    mayReuse: reuse && parameters.seed === undefined,
    signal,
  });
  const most = Math.min(room, parameters.max_tokens ?? room);
  const { logprobs } = parameters;
  const tokens = sequence.evaluateWithMetadata(last, { probabilities: logprobs !== undefined }, {
    ...evaluateOptions(writer.recent as Token[], { parameters, written: written.length }),
    ...grammar === null ? {} : { grammarEvaluationState: grammar.state as () => LlamaGrammarEvaluationState },
    ...tokenBias === null ? {} : { tokenBias },
  });
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
      grammar?.see(value.token);
      if (count < most) {
        // The next token is computed in another thread while this one becomes text and goes out. It takes a turn of
        // the event loop, some microseconds, until the binding has handed it to that thread.
        next = quietly(tokens.next());
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { parts, stopped } = writer.push(value.token, chanceOf(model, value, logprobs));
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
    usage: {
      prompt_tokens: prompt.length,
      completion_tokens: writer.count,
      cached_tokens: Math.min(reused, prompt.length),
    },
    prompt_ms: first - began,
    generation_ms: end - first,
  };
}

/**
 * Brings the sequence to the state before the prompt's last batch, and returns that batch.
 *
 * Of the state that is there, the beginning that is the same is kept where it may be. Not with a seed: in how many
 * batches the prompt was computed has a part in rounding, and the same seed shall lead to the same text. Not with
 * models whose state cannot be cut (recurrent, sliding window): they would compute all of it in one go.
 */
async function readPrompt(
  { sequence, batchTokens }: AddonWriter,
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

function evaluateOptions(
  recent: readonly Token[],
  { parameters, written }: { parameters: GenerationParameters; written: number },
): SequenceEvaluateOptions {
  const { temperature, top_k, top_p, min_p } = { ...SAMPLING_DEFAULTS, ...parameters };
  const { frequency_penalty = 0, presence_penalty = 0, repeat_penalty = 1 } = parameters;
  const options: SequenceEvaluateOptions = {
    temperature,
    topK: top_k,
    topP: top_p,
    minP: min_p,
    seed: seedOf(parameters.seed, written),
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

/** Refuses what the addon cannot do and what would change the answer's meaning if it were left out. */
function refuseWhatIsNotThere({ typical_p = 1, lora = [], logprobs, temperature }: GenerationParameters): void {
  const engine = "The engine that runs here, which is the one for machines where the native one does not work,";
  if (typical_p < 1) throw new ArkError("bad_request", `${engine} has no typical_p; leave it out`);
  if (lora.length > 0) throw new ArkError("bad_request", `${engine} takes no additions to models; leave lora out`);
  // What it tells of other temperatures is how likely a token was among those that were left to choose from.
  if (logprobs !== undefined && (temperature ?? SAMPLING_DEFAULTS.temperature) > 0) {
    throw new ArkError(
      "bad_request",
      `${engine} can tell how likely tokens were only at temperature 0; set that, or leave logprobs out`,
    );
  }
}

/** What is added to the scores of tokens, or null. */
async function biasOf(
  model: LlamaModel,
  biases: NonNullable<GenerationParameters["logit_bias"]>,
): Promise<TokenBias | null> {
  if (biases.length === 0) return null;
  const { TokenBias } = await import("node-llama-cpp");
  const bias = new TokenBias(model.tokenizer);
  const most = vocabularySize(model);
  for (const [token, logit] of biases) {
    if (token >= most) throw new ArkError("bad_request", `The model has ${most} tokens; ${token} is none of them`);
    if (model.isEogToken(token as Token)) {
      throw new ArkError(
        "bad_request",
        "The engine that runs here cannot make the end of an answer more or less likely",
      );
    }
    bias.set(token as Token, { logit });
  }
  return bias;
}

/** How likely a token was and what else might have been, where that is wanted. */
function chanceOf(
  model: LlamaModel,
  { token, probabilities }: { token: Token; probabilities?: Map<Token, number> },
  top: number | undefined,
): TokenLogprob | undefined {
  if (top === undefined || probabilities === undefined) return undefined;
  const chance = (of: Token, probability: number): TokenChance => {
    const text = model.detokenize([of]);
    const logprob = Math.max(LEAST_LOGPROB, Math.min(0, Math.log(probability)));
    return { token: text, bytes: [...new TextEncoder().encode(text)], logprob };
  };
  const best = [...probabilities.entries().take(top)].map(([of, probability]) => chance(of, probability));
  return { ...chance(token, probabilities.get(token) ?? 0), top: best };
}

/** Marks a promise as looked after: it is awaited later, or not at all where the answer ended before. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
