import { decodeGenerationParameters, type GenerationParameters } from "@ark/node/protocol";
import { invalid } from "../api/request_fault.ts";
import { given, givenFlag, namingField, type RequestFields } from "../api/request_fields.ts";

const PLAIN = [
  "temperature",
  "top_p",
  "top_k",
  "min_p",
  "frequency_penalty",
  "presence_penalty",
  "repeat_penalty",
] as const;

/**
 * How the model is to write. Nothing is clamped: a number out of range is refused. A seed may have OpenAI's 64 bits, of
 * which an engine takes 32; the same seed always becomes the same number.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function generationParameters(fields: RequestFields): GenerationParameters {
  const parameters: GenerationParameters = {};
  const add = (name: keyof GenerationParameters, value: unknown, shown: string = name) => {
    if (value !== undefined) {
      Object.assign(parameters, namingField(shown, () => decodeGenerationParameters({ [name]: value })));
    }
  };
  for (const name of PLAIN) add(name, given(fields, name));
  add("max_tokens", given(fields, "max_tokens"));
  add("max_tokens", given(fields, "max_completion_tokens"), "max_completion_tokens");
  const old = given(fields, "max_tokens");
  if (old !== undefined && old !== parameters.max_tokens) {
    throw invalid("max_completion_tokens", "must not differ from max_tokens, which is its old name");
  }
  add("seed", wrappedSeed(given(fields, "seed")));
  const stop = given(fields, "stop");
  add("stop", typeof stop === "string" ? [stop] : stop);
  return parameters;
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
  if (typeof options !== "object" || Array.isArray(options)) throw invalid("stream_options", "must be an object");
  const param = "stream_options.include_usage";
  return { stream, includeUsage: givenFlag(options as RequestFields, "include_usage", param) };
}

function wrappedSeed(seed: unknown): unknown {
  const fits = typeof seed !== "number" || !Number.isInteger(seed) || Math.abs(seed) <= 0x7fffffff;
  if (fits) return seed;
  if (Math.abs(seed) > 2 ** 63) throw invalid("seed", "must be a whole number of at most 64 bits");
  return Number(BigInt.asUintN(32, BigInt(seed)));
}
