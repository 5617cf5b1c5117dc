import type { GenerationParameters } from "@ark/node/protocol";
import { PENALTY_TOKENS } from "../answer_writer.ts";
import { SAMPLING_DEFAULTS, seedOf } from "../sampling.ts";
import { LOGIT_BIAS_WORDS } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";

/** What the samplers of a request are made of. */
export interface ChainOptions {
  /** How the request wants its answer. */
  parameters: GenerationParameters;
  /** Tokens of its prompt and of what was written before, of which penalties see the last. */
  tokens: readonly number[];
  /** How many were written before. */
  written: number;
  /** Tokens of the vocabulary. */
  vocabularySize: number;
}

/** Makes llama.cpp's own samplers for a request, one behind the other as there; the last one chooses. */
export function samplerChain({ llama }: Libraries, options: ChainOptions): Deno.PointerValue {
  const { parameters, vocabularySize } = options;
  const { temperature, top_k, top_p, min_p } = { ...SAMPLING_DEFAULTS, ...parameters };
  const chain = llama.llama_sampler_chain_init(new Uint8Array([1]));
  const add = (sampler: Deno.PointerValue) => llama.llama_sampler_chain_add(chain, sampler);
  const biases = logitBiases(parameters.logit_bias ?? [], vocabularySize);
  if (biases.length > 0) {
    const count = biases.length / LOGIT_BIAS_WORDS;
    add(llama.llama_sampler_init_logit_bias(vocabularySize, count, new Uint8Array(biases.buffer)));
  }
  const penalties = penaltySampler(llama, options);
  if (penalties !== null) add(penalties);
  if (temperature <= 0) {
    add(llama.llama_sampler_init_greedy());
    return chain;
  }
  const least = 1n;
  if (top_k > 0) add(llama.llama_sampler_init_top_k(top_k));
  const { typical_p = 1 } = parameters;
  if (typical_p < 1) add(llama.llama_sampler_init_typical(typical_p, least));
  if (top_p < 1) add(llama.llama_sampler_init_top_p(top_p, least));
  if (min_p > 0) add(llama.llama_sampler_init_min_p(min_p, least));
  add(llama.llama_sampler_init_temp(temperature));
  add(llama.llama_sampler_init_dist(seedOf(parameters.seed, options.written)));
  return chain;
}

function penaltySampler(llama: Libraries["llama"], { parameters, tokens, vocabularySize }: ChainOptions) {
  const { repeat_last_n = PENALTY_TOKENS, repeat_penalty = 1 } = parameters;
  const { frequency_penalty = 0, presence_penalty = 0 } = parameters;
  const none = repeat_penalty === 1 && frequency_penalty === 0 && presence_penalty === 0;
  if (repeat_last_n <= 0 || none) return null;
  const sampler = llama.llama_sampler_init_penalties(
    vocabularySize,
    repeat_last_n,
    repeat_penalty,
    frequency_penalty,
    presence_penalty,
  );
  for (const token of tokens.slice(-repeat_last_n)) llama.llama_sampler_accept(sampler, token);
  return sampler;
}

/** Pairs of token and number, as C takes them; tokens that the vocabulary has not are left out. */
function logitBiases(biases: readonly [token: number, bias: number][], size: number): Int32Array<ArrayBuffer> {
  const known = biases.filter(([token]) => Number.isInteger(token) && token >= 0 && token < size);
  const words = new Int32Array(known.length * LOGIT_BIAS_WORDS);
  const floats = new Float32Array(words.buffer);
  for (const [index, [token, bias]] of known.entries()) {
    words[index * LOGIT_BIAS_WORDS] = token;
    floats[index * LOGIT_BIAS_WORDS + 1] = bias;
  }
  return words;
}
