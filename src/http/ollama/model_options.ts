import { decodeGenerationParameters, type GenerationParameters, LIMITS } from "@ark/node/protocol";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, namingField, type RequestFields } from "../api/request_fields.ts";

const PLAIN = [
  "temperature",
  "top_p",
  "min_p",
  "typical_p",
  "repeat_penalty",
  "presence_penalty",
  "frequency_penalty",
] as const;

/** Most tokens back that penalties look: what Ollama's -1 (the whole context) becomes. */
const WHOLE_CONTEXT = 8_192;

/**
 * How the model is to write, from the field `options`, in Ollama's own words: -1 is no limit for `num_predict`, the whole
 * context for `repeat_last_n` and chance for `seed`.
 *
 * Everything else is left aside, known or not, as Ollama leaves aside what it does not know. Among it is what would
 * reconfigure the engine (`num_ctx`, `num_gpu`, `num_thread`, `num_batch`, …): the owner set that, and a model is not
 * loaded anew for one request. So a `num_ctx` that is larger than the node's context gives no more room, and a prompt that
 * does not fit is refused instead of cut in silence; `/api/ps` and `/api/show` tell how much there is. Only what was a way
 * to sample that this engine has not (`mirostat`, `tfs_z`) is refused where it is switched on.
 *
 * @throws {RequestFault}
 */
export function modelOptions(fields: RequestFields): GenerationParameters {
  const options = given(fields, "options") ?? {};
  if (typeof options !== "object" || Array.isArray(options)) throw invalid("options", "must be an object");
  const asked = options as RequestFields;
  const parameters: GenerationParameters = {};
  const add = (name: keyof GenerationParameters, value: unknown, shown: string = name) => {
    if (value === undefined) return;
    Object.assign(parameters, namingField(`options.${shown}`, () => decodeGenerationParameters({ [name]: value })));
  };
  for (const name of PLAIN) add(name, given(asked, name));
  add("max_tokens", above(0, given(asked, "num_predict")), "num_predict");
  add("top_k", atLeast(0, given(asked, "top_k")));
  add("repeat_last_n", windowOf(given(asked, "repeat_last_n")));
  add("seed", seedOf(given(asked, "seed")));
  const stop = given(asked, "stop");
  add("stop", typeof stop === "string" ? [stop] : stop);
  for (const [name, off] of [["mirostat", 0], ["tfs_z", 1]] as const) {
    const value = given(asked, name) ?? off;
    if (value !== off) throw unsupported(`options.${name}`, `must be absent or ${off}: this engine does not sample so`);
  }
  const room = given(asked, "num_ctx");
  if (room !== undefined && !(Number.isInteger(room) && Number(room) >= 0)) {
    throw invalid("options.num_ctx", "must be a whole number");
  }
  return parameters;
}

/**
 * What the answer must look like and whether the chances of its tokens are told.
 *
 * @throws {RequestFault}
 */
export function answerFields(fields: RequestFields): Pick<GenerationParameters, "format" | "logprobs"> {
  const parameters: Pick<GenerationParameters, "format" | "logprobs"> = {};
  const format = formatOf(given(fields, "format"));
  if (format !== null) {
    Object.assign(parameters, namingField("format", () => decodeGenerationParameters({ format })));
  }
  const top = given(fields, "top_logprobs") ?? 0;
  if (!(Number.isInteger(top) && Number(top) >= 0 && Number(top) <= LIMITS.topLogprobs)) {
    throw invalid("top_logprobs", `must be a whole number from 0 to ${LIMITS.topLogprobs}`);
  }
  if (givenFlag(fields, "logprobs")) parameters.logprobs = Number(top);
  return parameters;
}

/** Whether the model is to think first; a level of effort is a yes, and undefined leaves it to the model. */
export function thinkField(fields: RequestFields): boolean | undefined {
  const think = given(fields, "think");
  if (think === undefined || typeof think === "boolean") return think;
  if (think === "low" || think === "medium" || think === "high") return true;
  throw invalid("think", "must be true, false, low, medium or high");
}

/** Whether the answer is sent in lines: Ollama does, where nothing else is asked for. */
export function streamField(fields: RequestFields): boolean {
  return given(fields, "stream") === undefined || givenFlag(fields, "stream");
}

function formatOf(format: unknown): unknown {
  if (format === undefined || format === "") return null;
  if (format === "json") return { kind: "json" };
  if (typeof format === "object" && !Array.isArray(format)) return { kind: "json_schema", schema: format };
  throw invalid("format", "must be json or a JSON schema");
}

/** A number, or nothing where it is not above a bound: there it means that there is no limit. */
function above(bound: number, value: unknown): unknown {
  return typeof value === "number" && value <= bound ? undefined : value;
}

function atLeast(bound: number, value: unknown): unknown {
  return typeof value === "number" && value < bound ? bound : value;
}

function windowOf(value: unknown): unknown {
  return typeof value === "number" && value < 0 ? WHOLE_CONTEXT : value;
}

/** A seed may have 64 bits, of which an engine takes 32; the same seed always becomes the same number. */
function seedOf(seed: unknown): unknown {
  if (seed === -1) return undefined;
  if (typeof seed !== "number" || !Number.isInteger(seed) || Math.abs(seed) <= 0x7fffffff) return seed;
  if (Math.abs(seed) > 2 ** 63) throw invalid("options.seed", "must be a whole number of at most 64 bits");
  return Number(BigInt.asUintN(32, BigInt(seed)));
}
