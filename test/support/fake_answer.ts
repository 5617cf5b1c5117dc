import type { ChatInput, GenerationParameters, InferenceInput, TokenLogprob } from "@ark/node/protocol";
import { sampleOf } from "./schema_sample.ts";

/** Numbers of a vector. */
export const DIMENSIONS = 8;

/** Words that are written where nothing else is said. */
const WORDS = 16;

/** A part without its tokens, of which there is one for each. */
type Piece =
  | { type: "text" | "reasoning"; text: string }
  | { type: "tool_call"; index: number; id: string; name: string }
  | { type: "tool_arguments"; index: number; text: string };

/** What the fake writes: pieces of one token each, without an end where it would go on for ever. */
export function* piecesOf(
  input: InferenceInput,
  { format }: GenerationParameters,
): Generator<Piece, "stop" | "tool_calls"> {
  const text = textOf(input);
  if (input.kind === "chat" && input.think !== false && (input.think === true || text.includes("#think"))) {
    for (let word = 0; word < 3; word++) yield { type: "reasoning", text: spaced("t", word) };
  }
  const calls = input.kind === "chat" ? callsOf(input) : [];
  for (const [index, { name, parameters }] of calls.entries()) {
    const before = (input as ChatInput).messages.flatMap(({ tool_calls = [] }) => tool_calls).length;
    yield { type: "tool_call", index, id: `call_fake${before + index}`, name };
    for (const piece of cut(JSON.stringify(sampleOf(parameters)))) {
      yield { type: "tool_arguments", index, text: piece };
    }
  }
  if (calls.length > 0) return "tool_calls";
  if (format?.kind === "json" || format?.kind === "json_schema") {
    const value = format.kind === "json" ? { w0: "w1" } : sampleOf(format.schema);
    for (const piece of cut(JSON.stringify(value))) yield { type: "text", text: piece };
    return "stop";
  }
  // As an able model does that is asked for few words.
  const stop = option(text, "stop") ?? (text.includes("Reply briefly") ? 3 : Infinity);
  for (let word = 0; word < stop; word++) yield { type: "text", text: spaced("w", word) };
  return "stop";
}

/** Most tokens of an answer. */
export function mostTokens(input: InferenceInput, { max_tokens, format }: GenerationParameters): number {
  if (max_tokens !== undefined) return max_tokens;
  const free = format === undefined && (input.kind !== "chat" || callsOf(input).length === 0);
  const thoughts = input.kind === "chat" && (input.think === true || textOf(input).includes("#think")) ? 3 : 0;
  return free ? WORDS + thoughts : Infinity;
}

/** How likely the token at a place of the answer was; the likeliest one is what was written. */
export function chance(token: string, { index, top }: { index: number; top: number }): TokenLogprob {
  const of = (text: string, logprob: number) => ({
    token: text,
    bytes: [...new TextEncoder().encode(text)],
    logprob,
  });
  const first = -0.125 * (1 + index % 4);
  const others = Array.from({ length: top }, (_, rank) => of(rank === 0 ? token : `x${rank}`, first - rank));
  return { ...of(token, first), top: others };
}

/** The functions that are called: what the last message names, or the first one where one must be called. */
function callsOf({ messages, tools = [], tool_choice = "auto", parallel_tool_calls = true }: ChatInput) {
  if (tools.length === 0 || tool_choice === "none") return [];
  const last = messages.at(-1);
  const wanted = last?.role === "user" ? [...last.content.matchAll(/#call=([\w.-]+)/g)].map(([, name]) => name) : [];
  const named = wanted.flatMap((name) => tools.filter((tool) => tool.name === name));
  const forced = typeof tool_choice === "object" ? tools.filter(({ name }) => name === tool_choice.name) : tools;
  const chosen = typeof tool_choice === "object" || (tool_choice === "required" && named.length === 0)
    ? forced.slice(0, 1)
    : named;
  return parallel_tool_calls ? chosen : chosen.slice(0, 1);
}

/** Text of a prompt. */
export function textOf(input: InferenceInput): string {
  switch (input.kind) {
    case "chat":
      return input.messages.map(({ content }) => content).join("\n");
    case "completion":
      return typeof input.prompt === "string" ? input.prompt : wordsOf(input.prompt).join(" ");
    case "embed":
      return input.texts.map((text) => wordsOf(text).join(" ")).join("\n");
    case "rerank":
      return [input.query, ...input.documents].join("\n");
  }
}

/** Words of a text; of tokens, each is one. */
export function wordsOf(text: string | readonly number[]): string[] {
  return typeof text === "string" ? text.split(/\s+/).filter(Boolean) : text.map(String);
}

/** A vector of length 1, as base64: texts that have words in common point into a like direction. */
export function vectorOf(text: string | readonly number[]): string {
  const sum = new Float32Array(DIMENSIONS);
  sum[0] = 1e-3;
  for (const word of wordsOf(text)) {
    let state = 2166136261;
    for (const unit of word.toLowerCase()) state = Math.imul(state ^ (unit.codePointAt(0) ?? 0), 16777619) >>> 0;
    for (let at = 0; at < DIMENSIONS; at++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      sum[at] = (sum[at] ?? 0) + state / 2 ** 31 - 1;
    }
  }
  const length = Math.hypot(...sum);
  const bytes = new DataView(new ArrayBuffer(4 * DIMENSIONS));
  const littleEndian = true;
  sum.forEach((value, at) => bytes.setFloat32(4 * at, value / length, littleEndian));
  return new Uint8Array(bytes.buffer).toBase64();
}

/** Which part of the query's words a document has. */
export function overlap(query: string, document: string): number {
  const wanted = new Set(wordsOf(query.toLowerCase()));
  const there = new Set(wordsOf(document.toLowerCase()));
  return wanted.size === 0 ? 0 : wanted.intersection(there).size / wanted.size;
}

/** The number of an option such as `#slow=5`, or undefined. */
export function option(text: string, name: string): number | undefined {
  const found = new RegExp(`#${name}=(\\d+)`).exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

function spaced(letter: string, index: number): string {
  return index === 0 ? `${letter}0` : ` ${letter}${index}`;
}

/** Pieces of at most four characters. */
function cut(text: string): string[] {
  return [...text.matchAll(/[^]{1,4}/gu)].map(([piece]) => piece);
}
