import assert from "node:assert/strict";
import {
  type AnswerPart,
  ArkError,
  type ChatInput,
  type InferenceEvent,
  type InferenceInput,
} from "@ark/node/protocol";
import { AskedParts } from "../../src/routing/asked_parts.ts";

const PARTS: AnswerPart[] = [
  { type: "text", text: "a", tokens: 1 },
  { type: "reasoning", text: "a", tokens: 1 },
  { type: "tool_call", index: 0, id: "call_1", name: "f", tokens: 1 },
  { type: "tool_arguments", index: 0, text: "{}", tokens: 1 },
  { type: "vector", index: 0, values: "AAAAAA==" },
  { type: "score", index: 0, score: 1 },
];

function taken(input: InferenceInput, count_only?: true): string {
  return PARTS.filter((part) => {
    try {
      new AskedParts({ input, ...count_only === true ? { count_only } : {} }).take(part);
      return true;
    } catch (error) {
      assert.ok(error instanceof ArkError && error.code === "unavailable");
      return false;
    }
  }).map(({ type }) => type).join(" ");
}

function ended(finish_reason: "stop" | "tool_calls"): InferenceEvent {
  const timings = { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 };
  return { type: "end", finish_reason, usage: { prompt_tokens: 1, completion_tokens: 1 }, timings };
}

const CHAT: ChatInput = { kind: "chat", messages: [{ role: "user", content: "a" }] };
const TOOLS = [{ name: "f" }];

Deno.test("AskedParts.take() lets pass what was asked for, and nothing else", () => {
  assert.equal(taken(CHAT), "text reasoning");
  assert.equal(taken({ ...CHAT, tools: TOOLS }), "text reasoning tool_call tool_arguments");
  assert.equal(taken({ ...CHAT, tools: TOOLS, tool_choice: "none" }), "text reasoning");
  assert.equal(taken({ kind: "completion", prompt: "a" }), "text reasoning");
  assert.equal(taken({ kind: "embed", texts: ["a"] }), "vector");
  assert.equal(taken({ kind: "rerank", query: "a", documents: ["b"] }), "score");
  const countOnly = true;
  assert.equal(taken(CHAT, countOnly), "");
});

Deno.test("AskedParts.take() believes that functions were called only where some were", () => {
  const asked = () => new AskedParts({ input: { ...CHAT, tools: TOOLS } });
  asked().take(ended("stop"));
  assert.throws(() => asked().take(ended("tool_calls")), { code: "unavailable" });
  const called = asked();
  for (const part of PARTS.slice(2, 4)) called.take(part);
  called.take(ended("tool_calls"));
});
