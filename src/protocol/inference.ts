import { isCount } from "./count.ts";
import { ArkError } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/** A model as a person writes it: `llama3.1:8b`, `arkling`, the stem of a file name. At most 200 characters. */
export type ModelRef = string;

/** Who speaks in a chat message. */
export type MessageRole = "system" | "user" | "assistant";

/** One message of a chat: who and what, nothing else. */
export interface Message {
  /** Who speaks. */
  role: MessageRole;
  /** What is said. */
  content: string;
}

/** What the model reads: a chat that its template renders, or a raw prompt. */
export type InferenceInput =
  | { kind: "chat"; messages: Message[] }
  | { kind: "completion"; prompt: string };

/** How the model is to write. Every field is optional; what is absent is the engine's default. */
export interface GenerationParameters {
  /** Most tokens to write, at least 1. */
  max_tokens?: number;
  /** 0 (greedy) to 2. */
  temperature?: number;
  /** Nucleus: 0 to 1. */
  top_p?: number;
  /** Keep this many candidates; 0 keeps all. */
  top_k?: number;
  /** 0 to 1. */
  min_p?: number;
  /** Same seed, same text, on the same engine. */
  seed?: number;
  /** Texts that end the answer and are not part of it. */
  stop?: string[];
  /** -2 to 2. */
  frequency_penalty?: number;
  /** -2 to 2. */
  presence_penalty?: number;
  /** 1 is none; up to 2. */
  repeat_penalty?: number;
}

/** A question to a model: model, input, parameters. All that ever travels to a peer. */
export interface InferenceRequest {
  /** Which model. */
  model: ModelRef;
  /** What it reads. */
  input: InferenceInput;
  /** How it writes. */
  parameters: GenerationParameters;
}

/** Why an answer ended: the model or a stop text ended it, or a limit of tokens. */
export type FinishReason = "stop" | "length";

/** Tokens of one request. */
export interface Usage {
  /** Tokens of the rendered prompt. */
  prompt_tokens: number;
  /** Tokens that the model wrote. */
  completion_tokens: number;
}

/** What the engine took, in milliseconds. */
export interface Timings {
  /** Waiting for a slot. */
  queue_ms: number;
  /** Loading the model; 0 when it was warm. */
  load_ms: number;
  /** Reading the prompt, until the first token. */
  prompt_ms: number;
  /** Writing, from the first token to the last. */
  generation_ms: number;
}

/**
 * One step of an answer. A stream is `start`, any number of `text`, then exactly one `end`; a stream that stops without
 * `end` was cut, whatever the transport says. A failure is thrown as an `ArkError`.
 */
export type InferenceEvent =
  | { type: "start"; model: string; digest: string | null; prompt_tokens: number }
  | { type: "text"; text: string; tokens: number }
  | { type: "end"; finish_reason: FinishReason; usage: Usage; timings: Timings };

const ROLES: ReadonlySet<unknown> = new Set(["system", "user", "assistant"]);

/** Allowed range of each numeric parameter: [least, most, integer]. */
const NUMBERS: Record<Exclude<keyof GenerationParameters, "stop">, readonly [number, number, boolean]> = {
  max_tokens: [1, 1_000_000, true],
  temperature: [0, 2, false],
  top_p: [0, 1, false],
  top_k: [0, 1_000_000, true],
  min_p: [0, 1, false],
  seed: [-0x80000000, 0xffffffff, true],
  frequency_penalty: [-2, 2, false],
  presence_penalty: [-2, 2, false],
  repeat_penalty: [1, 2, false],
};

/**
 * Reads an {@linkcode InferenceRequest} from any JSON value. Strict: an unknown field anywhere is refused, so nothing
 * rides along.
 *
 * @throws {ArkError} `bad_request`, with a sentence that names the field.
 */
export function decodeInferenceRequest(value: unknown): InferenceRequest {
  const fields = record(value, "request", ["model", "input", "parameters"]);
  return {
    model: decodeModelRef(fields.model),
    input: decodeInput(fields.input),
    parameters: decodeGenerationParameters(fields.parameters === undefined ? {} : fields.parameters),
  };
}

/**
 * Checks that a value can name a model: a non-empty text without control and invisible characters.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeModelRef(value: unknown): ModelRef {
  if (typeof value !== "string" || value.length === 0) throw bad("Field model must be a non-empty text");
  if (value.length > LIMITS.modelRefLength) {
    throw bad(`Field model must have at most ${LIMITS.modelRefLength} characters`);
  }
  // Invisible characters too: a model's name is shown to people, in terminals and in lists to choose from.
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(value)) throw bad("Field model must have no control characters");
  return value;
}

/**
 * Reads parameters from any JSON value. Strict: an unknown field is refused, a number out of range too.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeGenerationParameters(value: unknown): GenerationParameters {
  const fields = record(value, "parameters", [...Object.keys(NUMBERS), "stop"]);
  const parameters: GenerationParameters = {};
  for (const [name, [least, most, integer]] of Object.entries(NUMBERS) as NumberRules) {
    const given = fields[name];
    if (given === undefined) continue;
    if (typeof given !== "number" || !Number.isFinite(given) || given < least || given > most) {
      throw bad(`Field ${name} must be a number from ${least} to ${most}`);
    }
    if (integer && !Number.isInteger(given)) throw bad(`Field ${name} must be a whole number`);
    parameters[name] = given;
  }
  if (fields.stop !== undefined) parameters.stop = decodeStop(fields.stop);
  return parameters;
}

type NumberRules = [Exclude<keyof GenerationParameters, "stop">, readonly [number, number, boolean]][];

function decodeStop(value: unknown): string[] {
  if (!Array.isArray(value) || value.length > LIMITS.stops) {
    throw bad(`Field stop must be a list of at most ${LIMITS.stops} texts`);
  }
  for (const stop of value) {
    if (typeof stop !== "string" || stop.length === 0 || stop.length > LIMITS.stopLength) {
      throw bad(`Each text of stop must have 1 to ${LIMITS.stopLength} characters`);
    }
  }
  return [...value];
}

function decodeInput(value: unknown): InferenceInput {
  if (typeof value !== "object" || value === null) throw bad("Field input must be an object");
  const kind = (value as Record<string, unknown>).kind;
  if (kind === "completion") {
    const fields = record(value, "input", ["kind", "prompt"]);
    if (typeof fields.prompt !== "string") throw bad("Field prompt must be a text");
    return { kind, prompt: fields.prompt };
  }
  if (kind === "chat") {
    const { messages } = record(value, "input", ["kind", "messages"]);
    if (!Array.isArray(messages) || messages.length === 0) throw bad("Field messages must be a non-empty list");
    if (messages.length > LIMITS.messages) throw bad(`Field messages must have at most ${LIMITS.messages} entries`);
    return { kind, messages: messages.map(decodeMessage) };
  }
  throw bad("Field input.kind must be chat or completion");
}

function decodeMessage(value: unknown, index: number): Message {
  const fields = record(value, `messages[${index}]`, ["role", "content"]);
  if (!ROLES.has(fields.role)) throw bad(`Field messages[${index}].role must be system, user or assistant`);
  if (typeof fields.content !== "string") throw bad(`Field messages[${index}].content must be a text`);
  return { role: fields.role as MessageRole, content: fields.content };
}

/** Copies the named own fields of an object into one without a prototype, and refuses any other field. */
function record(value: unknown, what: string, names: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad(`The ${what} must be an object`);
  const copy: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(value)) {
    if (!names.includes(key)) throw bad(`The ${what} has an unknown field: ${printable(key)}`);
    copy[key] = (value as Record<string, unknown>)[key];
  }
  return copy;
}

/** A field's name as it may stand in an error: short, without control characters. */
function printable(key: string): string {
  return key.slice(0, 40).replaceAll(/[^\u0020-\u007e]/g, "?");
}

function bad(message: string): ArkError {
  return new ArkError("bad_request", message);
}

/**
 * Reads one event of a peer's stream. Strict in what it keeps: fields that are not part of the type are dropped, so a
 * peer cannot add to what the local client sees.
 *
 * @throws {ArkError} `unavailable`: a peer that sends nonsense is a peer that cannot answer.
 */
export function decodeInferenceEvent(value: unknown): InferenceEvent {
  if (typeof value === "object" && value !== null) {
    const event = value as Record<string, unknown>;
    switch (event.type) {
      case "start":
        if (isModelRef(event.model) && isDigestOrNone(event.digest) && isCount(event.prompt_tokens)) {
          const { model, digest, prompt_tokens } = event;
          return { type: "start", model, digest: digest ?? null, prompt_tokens };
        }
        break;
      case "text":
        if (typeof event.text === "string" && isCount(event.tokens)) {
          return { type: "text", text: event.text, tokens: event.tokens };
        }
        break;
      case "end":
        return decodeEnd(event);
    }
  }
  throw new ArkError("unavailable", "The peer sent an event that is not part of the protocol");
}

function decodeEnd(event: Record<string, unknown>): InferenceEvent {
  const usage = event.usage as Partial<Usage> | null | undefined;
  const timings = event.timings as Partial<Timings> | null | undefined;
  const reason = event.finish_reason;
  if (
    (reason !== "stop" && reason !== "length") || typeof usage !== "object" || usage === null ||
    !isCount(usage.prompt_tokens) || !isCount(usage.completion_tokens)
  ) throw new ArkError("unavailable", "The peer sent an end of stream that is not part of the protocol");
  return {
    type: "end",
    finish_reason: reason,
    usage: { prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens },
    timings: {
      queue_ms: duration(timings?.queue_ms),
      load_ms: duration(timings?.load_ms),
      prompt_ms: duration(timings?.prompt_ms),
      generation_ms: duration(timings?.generation_ms),
    },
  };
}

function isModelRef(value: unknown): value is ModelRef {
  try {
    decodeModelRef(value);
    return true;
  } catch {
    return false;
  }
}

/** Whether a value is a SHA-256 in hex, or absent. */
function isDigestOrNone(value: unknown): value is string | null | undefined {
  return value === null || value === undefined || (typeof value === "string" && /^[0-9a-f]{64}$/.test(value));
}

function duration(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}
