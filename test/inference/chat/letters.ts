import type { AnswerPart, ChatInput, GenerationParameters, Tool } from "@ark/node/protocol";
import type { PreparedAnswer } from "../../../src/inference/worker/prepare.ts";
import { PromptBuilder } from "../../../src/inference/worker/prompt.ts";
import { AnswerWriter } from "../../../src/inference/worker/answer_writer.ts";

/** A function for tests. */
export const WEATHER: Tool = {
  name: "weather",
  description: "Weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

/** A builder over a vocabulary of letters, in which control texts are the numbers below 0. */
export function lettersBuilder(template: string, control: readonly string[]): PromptBuilder {
  return new PromptBuilder({
    template,
    bosText: null,
    eosText: null,
    bos: null,
    controlTexts: control,
    tokenize: (text, { mode }) => mode === "markup" ? tokensOf(text, control) : tokensOf(text, []),
  });
}

/** The tokens of a text. */
export function tokensOf(text: string, control: readonly string[]): number[] {
  const longest = [...control].sort((a, b) => b.length - a.length);
  const pattern = new RegExp([...longest.map((each) => RegExp.escape(each)), "[^]"].join("|"), "gu");
  return [...text.matchAll(pattern)].map(([piece]) => {
    const index = control.indexOf(piece);
    return index >= 0 ? -1 - index : piece.codePointAt(0) ?? 0;
  });
}

/** The tokens as a text: control tokens stand in brackets. */
export function shown(tokens: readonly number[], control: readonly string[]): string {
  return tokens.map((token) => token < 0 ? `⟦${control[-1 - token]}⟧` : String.fromCodePoint(token)).join("");
}

/** What the parts of an answer come to. */
export interface Read {
  text: string;
  reasoning: string;
  calls: { name: string; arguments: string }[];
  parts: AnswerPart[];
  finish: string;
  stopped: boolean;
  tokens: number;
}

/** What a prepared answer makes of what a model writes. */
export function readAnswer(
  prepared: PreparedAnswer,
  tokens: readonly number[],
  parameters: GenerationParameters = {},
): Read {
  // Control tokens have no text; where they have one after all, it is the writer's doing.
  const detokenize = (some: readonly number[]) =>
    some.filter((token) => token >= 0).map((token) => String.fromCodePoint(token)).join("");
  const writer = new AnswerWriter({ detokenize, prepared, parameters });
  const parts: AnswerPart[] = [];
  let stopped = false;
  for (const token of tokens) {
    const pushed = writer.push(token);
    parts.push(...pushed.parts);
    stopped = pushed.stopped;
    if (stopped) break;
  }
  parts.push(...writer.flush());
  return { ...summed(parts), finish: writer.finishReason("stop"), stopped, tokens: writer.count };
}

function summed(parts: AnswerPart[]): Omit<Read, "finish" | "stopped" | "tokens"> {
  const read = { text: "", reasoning: "", calls: [] as Read["calls"], parts };
  for (const part of parts) {
    if (part.type === "text") read.text += part.text;
    else if (part.type === "reasoning") read.reasoning += part.text;
    else if (part.type === "tool_call") read.calls[part.index] = { name: part.name, arguments: "" };
    else if (part.type === "tool_arguments") {
      const call = read.calls[part.index];
      if (call === undefined) throw new Error("Arguments before their call");
      call.arguments += part.text;
    }
  }
  return read;
}

/** A chat of one question. */
export function asked(parts: Partial<ChatInput> = {}): ChatInput {
  return { kind: "chat", messages: [{ role: "user", content: "Weather?" }], tools: [WEATHER], ...parts };
}
