import { LIMITS } from "./limits.ts";
import type { TokenIds } from "./token_ids.ts";

/** A model as a person writes it: `llama3.1:8b`, `arkling`, the stem of a file name. At most 200 characters. */
export type ModelRef = string;

/** Who speaks in a chat message. `tool` is the answer of a function that the model called. */
export type MessageRole = "system" | "user" | "assistant" | "tool";

/** A JSON Schema: any JSON object, at most 128 KiB as text and 64 levels deep. */
export type JsonSchema = { readonly [key: string]: unknown };

/** A call of a function that a model wrote. */
export interface ToolCall {
  /** Distinct within the conversation: at most 64 characters. */
  id: string;
  /** The function. */
  name: string;
  /** Its arguments as a JSON text, as the model wrote them: not always valid JSON. */
  arguments: string;
}

/** One message of a chat. */
export interface Message {
  /** Who speaks. */
  role: MessageRole;
  /** What is said; may be empty where the message calls tools. */
  content: string;
  /** What an assistant thought before it spoke. */
  reasoning?: string;
  /** The functions that an assistant called. */
  tool_calls?: ToolCall[];
  /** Which call a message of the role `tool` answers. */
  tool_call_id?: string;
  /** Name of the function that a message of the role `tool` answers for. */
  name?: string;
}

/** A function that the model may call. */
export interface Tool {
  /** 1 to 64 letters, digits, `_`, `-` and `.`. */
  name: string;
  /** What it is for, for the model. */
  description?: string;
  /** Its arguments; without it, none. */
  parameters?: JsonSchema;
}

/** Whether the model may, must or must not call a function, or which one it must call. */
export type ToolChoice = "auto" | "none" | "required" | { name: string };

/** A chat that the model's template renders. An assistant's message at the end is gone on with. */
export interface ChatInput {
  /** Tells the inputs apart. */
  kind: "chat";
  /** At least one. */
  messages: Message[];
  /** Functions that the model may call; absent or at least one. */
  tools?: Tool[];
  /** Whether a function may or must be called. @default {"auto"} where there are tools */
  tool_choice?: ToolChoice;
  /** Whether the model may call several functions at once. @default {true} */
  parallel_tool_calls?: boolean;
  /** Whether the model is to think first, where it can choose; absent: as its template does by itself. */
  think?: boolean;
}

/** A raw prompt: text that may hold control tokens, or tokens. */
export interface CompletionInput {
  /** Tells the inputs apart. */
  kind: "completion";
  /** Text, or ids of the model's own vocabulary. */
  prompt: string | number[];
  /** Text after the gap that is to be filled, for models that can. */
  suffix?: string;
}

/** Texts whose meaning is wanted as vectors. */
export interface EmbedInput {
  /** Tells the inputs apart. */
  kind: "embed";
  /** At least one; each a text or tokens of the model's own vocabulary. */
  texts: (string | number[])[];
}

/** Documents that are to be put in order for a query. */
export interface RerankInput {
  /** Tells the inputs apart. */
  kind: "rerank";
  /** What is looked for. */
  query: string;
  /** At least one. */
  documents: string[];
}

/** What the model reads. */
export type InferenceInput = ChatInput | CompletionInput | EmbedInput | RerankInput;

/** What an answer must look like: the engine cannot write anything else. */
export type OutputFormat =
  | { kind: "json" }
  | { kind: "json_schema"; schema: JsonSchema }
  | { kind: "grammar"; grammar: string };

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
  /** 0 to 1; 1 is none. */
  typical_p?: number;
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
  /** Tokens back that penalties look; 0 is none. @default {64} */
  repeat_last_n?: number;
  /** Added to the score of a token before one is chosen: pairs of token and -100 to 100. */
  logit_bias?: [token: number, bias: number][];
  /** Where given, each text tells how likely its tokens were, with so many alternatives: 0 to 20. */
  logprobs?: number;
  /** What the answer must look like. */
  format?: OutputFormat;
  /** Additions to the model from the owner's own store, with their weight. Peers may not send them. */
  lora?: { name: string; scale: number }[];
}

/** A question to a model: model, input, parameters. All that ever travels to a peer. */
export interface InferenceRequest {
  /** Which model. */
  model: ModelRef;
  /** What it reads. */
  input: InferenceInput;
  /** How it writes. */
  parameters: GenerationParameters;
  /** Only how many tokens the prompt has is wanted: the answer is `start` and `end`. */
  count_only?: true;
  /** The answer tells the ids of its tokens, so that another node with the same weights can go on with it. */
  ids?: true;
  /** The answer was begun elsewhere, and is gone on with from its tokens; `input` says how to read what follows. */
  resume?: Resume;
}

/**
 * How far an answer has come that another node began with the same weights. The prompt and the text are never rendered or
 * tokenised again: what was shown is what these tokens say. `max_tokens` of the request is what may still be written.
 */
export interface Resume {
  /** The rendered prompt, as the `start` of the broken answer told it. At least one token. */
  prompt: TokenIds;
  /** Every token written so far, in order: at least one, at most {@linkcode LIMITS.resumedTokens} with the prompt. */
  written: TokenIds;
}

/** Why an answer ended: the model or a stop text ended it, a limit of tokens, or the model calls functions. */
export type FinishReason = "stop" | "length" | "tool_calls";

/** Tokens of one request. */
export interface Usage {
  /** Tokens of the rendered prompt. */
  prompt_tokens: number;
  /** Tokens that the model wrote. */
  completion_tokens: number;
  /** Tokens of the prompt that were there from an earlier request of the same principal; absent where not known. */
  cached_tokens?: number;
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

/** A token that might have been written, and how likely it was. */
export interface TokenChance {
  /** Its text; a token that is part of a character has the replacement character. */
  token: string;
  /** Its bytes. */
  bytes: number[];
  /** Natural logarithm of its probability; at most 0. */
  logprob: number;
}

/** A token that was written, how likely it was, and what else might have been. */
export interface TokenLogprob extends TokenChance {
  /** The most likely ones, the likeliest first. */
  top: TokenChance[];
}

/**
 * A part of an answer between its start and its end. `tokens` is how many tokens were written since the part before; a
 * token's text may come later than the token. `ids` are these very tokens, where the request wants them.
 *
 * | type | what |
 * |---|---|
 * | `text` | of the answer |
 * | `reasoning` | what the model thinks before it answers |
 * | `tool_call` | a call of a function begins; `index` counts from 0 |
 * | `tool_arguments` | part of the JSON of the call with that index |
 * | `vector` | of the text with that index: float32, little-endian, in base64, of length 1 |
 * | `score` | of the document with that index: 0 to 1, larger is better |
 */
export type AnswerPart =
  | { type: "text"; text: string; tokens: number; logprobs?: TokenLogprob[]; ids?: number[] }
  | { type: "reasoning"; text: string; tokens: number; ids?: number[] }
  | { type: "tool_call"; index: number; id: string; name: string; tokens: number; ids?: number[] }
  | { type: "tool_arguments"; index: number; text: string; tokens: number; ids?: number[] }
  | { type: "vector"; index: number; values: string }
  | { type: "score"; index: number; score: number };

/**
 * One step of an answer. A stream is `start`, any number of parts, then exactly one `end`; a stream that stops without
 * `end` was cut, whatever the transport says. A failure is thrown as an `ArkError`.
 */
export type InferenceEvent =
  | {
    type: "start";
    model: string;
    digest: string | null;
    prompt_tokens: number;
    /** The rendered prompt, where the request wants ids; absent where the node cannot tell it, or it is too long. */
    prompt_ids?: TokenIds;
  }
  | AnswerPart
  | {
    type: "end";
    finish_reason: FinishReason;
    /** The stop text that ended the answer; absent where something else did. */
    stop_text?: string;
    usage: Usage;
    timings: Timings;
  };

/** Tokens that the model wrote for an event. */
export function tokensOf(event: InferenceEvent): number {
  return "tokens" in event ? event.tokens : 0;
}

/** Two parts that follow each other as one, or null where they cannot be one: a part has only so many ids. */
export function joinParts(first: InferenceEvent, second: InferenceEvent): AnswerPart | null {
  if (idsOf(first) + idsOf(second) > LIMITS.partIds) return null;
  if (first.type === "text" && second.type === "text") {
    const logprobs = first.logprobs === undefined && second.logprobs === undefined
      ? {}
      : { logprobs: [...first.logprobs ?? [], ...second.logprobs ?? []] };
    return { type: "text", ...joined(first, second), ...logprobs };
  }
  if (first.type === "reasoning" && second.type === "reasoning") return { type: "reasoning", ...joined(first, second) };
  if (first.type === "tool_arguments" && second.type === "tool_arguments" && first.index === second.index) {
    return { type: "tool_arguments", index: first.index, ...joined(first, second) };
  }
  return null;
}

function idsOf(event: InferenceEvent): number {
  return "ids" in event ? event.ids?.length ?? 0 : 0;
}

type Written = { text: string; tokens: number; ids?: number[] };

function joined(first: Written, second: Written): Written {
  const ids = first.ids === undefined && second.ids === undefined
    ? {}
    : { ids: [...first.ids ?? [], ...second.ids ?? []] };
  return { text: first.text + second.text, tokens: first.tokens + second.tokens, ...ids };
}
