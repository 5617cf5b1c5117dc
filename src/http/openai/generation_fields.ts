import { decodeGenerationParameters, type GenerationParameters, LIMITS } from "@ark/node/protocol";
import { isObject } from "../api/call_fields.ts";
import { invalid } from "../api/request_fault.ts";
import { given, givenFlag, namingField, type RequestFields } from "../api/request_fields.ts";
import { outputFormat } from "./output_format.ts";

/** Fields that OpenAI's and llama.cpp's clients send, and what they are called here. */
const PLAIN: readonly [string, keyof GenerationParameters][] = [
  ["temperature", "temperature"],
  ["top_p", "top_p"],
  ["top_k", "top_k"],
  ["min_p", "min_p"],
  ["typical_p", "typical_p"],
  ["frequency_penalty", "frequency_penalty"],
  ["presence_penalty", "presence_penalty"],
  ["repeat_penalty", "repeat_penalty"],
  ["repetition_penalty", "repeat_penalty"],
  ["repeat_last_n", "repeat_last_n"],
  ["max_tokens", "max_tokens"],
  ["max_completion_tokens", "max_tokens"],
  ["lora", "lora"],
];

/** Most choices of one request, as OpenAI has it. */
const MOST_CHOICES = 128;

/**
 * How the model is to write. Nothing is clamped: a number out of range is refused. A seed may have OpenAI's 64 bits, of
 * which an engine takes 32; the same seed always becomes the same number.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function generationParameters(fields: RequestFields): GenerationParameters {
  const parameters: GenerationParameters = {};
  const add = (name: keyof GenerationParameters, value: unknown, shown: string = name) => {
    if (value === undefined) return;
    const before = parameters[name];
    Object.assign(parameters, namingField(shown, () => decodeGenerationParameters({ [name]: value })));
    if (before !== undefined && before !== parameters[name]) {
      throw invalid(shown, "must not differ from the other field that means the same");
    }
  };
  for (const [shown, name] of PLAIN) add(name, given(fields, shown), shown);
  add("seed", wrappedSeed(given(fields, "seed")));
  const stop = given(fields, "stop");
  add("stop", typeof stop === "string" ? [stop] : stop);
  add("logit_bias", biasesOf(given(fields, "logit_bias")));
  const format = outputFormat(fields);
  if (format !== null) parameters.format = format;
  return parameters;
}

/** Parameters of one of several answers to the same prompt: the seeds follow each other. */
export function parametersOfChoice(parameters: GenerationParameters, index: number): GenerationParameters {
  const { seed } = parameters;
  if (seed === undefined || index === 0) return parameters;
  return { ...parameters, seed: (seed + index) >>> 0 };
}

/**
 * The field `n`.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function choiceCount(fields: RequestFields): number {
  return countOf(given(fields, "n") ?? 1, "n", { most: MOST_CHOICES });
}

/**
 * A whole number from 1.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function countOf(value: unknown, at: string, { most = Number.MAX_SAFE_INTEGER } = {}): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  throw invalid(
    at,
    most < Number.MAX_SAFE_INTEGER ? `must be a whole number from 1 to ${most}` : "must be a whole number from 1",
  );
}

/** How the answer is to be sent. */
export interface StreamFields {
  /** As events, and not in one piece. */
  stream: boolean;
  /** With a last chunk that says what it cost. */
  includeUsage: boolean;
}

/**
 * Reads `stream` and `stream_options`.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function streamFields(fields: RequestFields): StreamFields {
  const stream = givenFlag(fields, "stream");
  const options = given(fields, "stream_options");
  if (options === undefined) return { stream, includeUsage: false };
  if (!stream) throw invalid("stream_options", "is only allowed together with stream: true");
  if (!isObject(options)) throw invalid("stream_options", "must be an object");
  return { stream, includeUsage: givenFlag(options, "include_usage", "stream_options.include_usage") };
}

function wrappedSeed(seed: unknown): unknown {
  const fits = typeof seed !== "number" || !Number.isInteger(seed) || Math.abs(seed) <= 0x7fffffff;
  if (fits) return seed;
  if (Math.abs(seed) > 2 ** 63) throw invalid("seed", "must be a whole number of at most 64 bits");
  return Number(BigInt.asUintN(32, BigInt(seed)));
}

/** OpenAI's object of tokens, or llama.cpp's list of pairs, as pairs; undefined where there is none. */
function biasesOf(value: unknown): unknown {
  if (value === undefined || (Array.isArray(value) && value.length > 0)) return value;
  if (typeof value !== "object" || value === null) {
    throw invalid("logit_bias", "must be an object of tokens and numbers");
  }
  const entries = Object.entries(value);
  if (entries.length > LIMITS.logitBiases) {
    throw invalid("logit_bias", `must have at most ${LIMITS.logitBiases} entries`);
  }
  // A key that is no whole number becomes no token.
  const pairs = entries.map(([token, bias]) => [/^\d{1,10}$/.test(token) ? Number(token) : null, bias]);
  return pairs.length === 0 ? undefined : pairs;
}
