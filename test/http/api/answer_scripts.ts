/** Scripts of answers that have all that a model can write. */
import type { AnswerPart, FinishReason, InferenceEvent, TokenLogprob } from "@ark/node/protocol";
import { END, type Script, START } from "./scripted_answers.ts";

/** An answer of these parts. */
export function answering(
  parts: readonly AnswerPart[],
  { reason = "stop", stop }: { reason?: FinishReason; stop?: string } = {},
): Script {
  return async function* ({ request }) {
    await Promise.resolve();
    yield START;
    if (request.count_only !== true) yield* parts;
    const stop_text = stop === undefined ? {} : { stop_text: stop };
    const completion_tokens = parts.reduce((sum, part) => sum + ("tokens" in part ? part.tokens : 0), 0);
    const usage = { prompt_tokens: 7, completion_tokens, cached_tokens: 5 };
    yield { ...END, finish_reason: reason, ...stop_text, usage } as InferenceEvent;
  };
}

/** Texts as a model writes them: empty ones, what looks like the end of a stream, breaks of lines, half characters. */
export const TEXTS: readonly AnswerPart[] = ["Es war", " einmal\n\n", "", '"data: [DONE]"', "\u2028", "\0", " Ende 🦊"]
  .map((text) => ({ type: "text", text, tokens: 1 }));

/** All of {@linkcode TEXTS} together. */
export const TEXT: string = TEXTS.map((part) => "text" in part ? part.text : "").join("");

/** Thoughts, a text, and two calls. */
export const EVERYTHING: readonly AnswerPart[] = [
  { type: "reasoning", text: "Let me", tokens: 2 },
  { type: "reasoning", text: " see.", tokens: 1 },
  { type: "text", text: "I look", tokens: 1 },
  { type: "text", text: " it up.", tokens: 1 },
  { type: "tool_call", index: 0, id: "call_a", name: "weather", tokens: 3 },
  { type: "tool_arguments", index: 0, text: '{"city":', tokens: 2 },
  { type: "tool_arguments", index: 0, text: ' "Köln"}', tokens: 2 },
  { type: "tool_call", index: 1, id: "call_b", name: "time.now", tokens: 3 },
  { type: "tool_arguments", index: 1, text: "{}", tokens: 1 },
];

/** How likely a token was. */
export function chanceOf(token: string): TokenLogprob {
  const chance = { token, bytes: [...new TextEncoder().encode(token)], logprob: -0.25 };
  return { ...chance, top: [chance, { ...chance, token: "x", logprob: -2 }] };
}
