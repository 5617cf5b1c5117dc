/** What a request and an answer can hold beside plain text: tools, formats, chances, vectors and scores. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ArkError,
  decodeInferenceEvent,
  decodeInferenceRequest,
  type InferenceEvent,
  joinParts,
  LIMITS,
  tokensOf,
} from "@ark/node/protocol";
import { almost } from "./json_values.ts";

const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const CALL = { id: "call_1", name: "weather", arguments: '{"city":"Rome"}' };
const CHAT = {
  model: "m",
  input: {
    kind: "chat",
    messages: [
      { role: "user", content: "Hot?" },
      { role: "assistant", content: "", reasoning: "I look", tool_calls: [CALL] },
      { role: "tool", content: "31", tool_call_id: "call_1", name: "weather" },
    ],
    tools: [{ name: "weather", description: "Now", parameters: SCHEMA }, { name: "mcp.time" }],
    tool_choice: { name: "weather" },
    parallel_tool_calls: false,
    think: true,
  },
  parameters: {
    typical_p: 1,
    repeat_last_n: 0,
    logprobs: 20,
    logit_bias: [[5, -100]],
    format: { kind: "json_schema", schema: SCHEMA },
    lora: [{ name: "tone", scale: 0.5 }],
  },
  count_only: true,
};
const OTHERS = [
  {
    model: "m",
    input: { kind: "completion", prompt: [1, 2], suffix: "end" },
    parameters: { format: { kind: "json" } },
  },
  { model: "m", input: { kind: "embed", texts: ["a", [3]] }, parameters: {} },
  { model: "m", input: { kind: "rerank", query: "q", documents: ["a", "b"] }, parameters: {} },
];
const CHANCE = { token: "a", bytes: [97], logprob: -0.5 };
const PARTS: InferenceEvent[] = [
  { type: "text", text: "a", tokens: 1, logprobs: [{ ...CHANCE, top: [CHANCE] }] },
  { type: "reasoning", text: "Hm", tokens: 2 },
  { type: "tool_call", index: 0, id: "call_1", name: "weather", tokens: 3 },
  { type: "tool_arguments", index: 0, text: '{"ci', tokens: 4 },
  { type: "vector", index: 1, values: "AACAPwAAAAA=" },
  { type: "score", index: 1, score: 0.25 },
];

Deno.test("decodeInferenceRequest() reads tools, formats, tokens and all other inputs", () => {
  for (const request of [CHAT, ...OTHERS]) assert.deepEqual(decodeInferenceRequest(request), request);
});

Deno.test("decodeInferenceRequest() says exactly what was sent, or refuses it, however it is spoilt", () => {
  fc.assert(
    fc.property(fc.oneof(almost(CHAT), ...OTHERS.map(almost)), (value) => {
      try {
        assert.deepEqual(decodeInferenceRequest(value), { parameters: {}, ...value as object });
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "bad_request", String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

const chat = (parts: object) => ({ ...CHAT, input: { ...CHAT.input, ...parts } });
const writing = (parameters: object) => ({ ...CHAT, parameters });
const deep = Array.from({ length: 100 }).reduce<object>((inner) => ({ items: inner }), {});
for (
  const [what, request] of [
    ["a user's name", chat({ messages: [{ role: "user", content: "", name: "Ann" }] })],
    ["a user who calls tools", chat({ messages: [{ role: "user", content: "", tool_calls: [CALL] }] })],
    [
      "a call without a name",
      chat({ messages: [{ role: "assistant", content: "", tool_calls: [{ ...CALL, name: "" }] }] }),
    ],
    ["a choice among no tools", {
      ...OTHERS[0],
      input: { kind: "chat", messages: [{ role: "user", content: "" }], tool_choice: "required" },
    }],
    ["a tool that is not there", chat({ tool_choice: { name: "time" } })],
    ["a schema that is none", chat({ tools: [{ name: "a", parameters: [] }] })],
    ["a schema without a bottom", writing({ format: { kind: "json_schema", schema: deep } })],
    [
      "a schema without an end",
      writing({ format: { kind: "json_schema", schema: { a: "x".repeat(LIMITS.schemaLength) } } }),
    ],
    ["two formats at once", writing({ format: { kind: "json", grammar: 'root ::= "a"' } })],
    ["a bias without a bound", writing({ logit_bias: [[1, 101]] })],
    ["a bias of no token", writing({ logit_bias: [[-1, 1]] })],
    ["more chances than are told", writing({ logprobs: 21 })],
    ["no texts", { ...OTHERS[1], input: { kind: "embed", texts: [] } }],
    ["tokens that are none", { ...OTHERS[1], input: { kind: "embed", texts: [[0.5]] } }],
    ["no documents", { ...OTHERS[2], input: { kind: "rerank", query: "q", documents: [] } }],
    ["a count that is a wish", { ...CHAT, count_only: false }],
  ] as const
) {
  Deno.test(`decodeInferenceRequest() refuses ${what}`, () => {
    assert.throws(() => decodeInferenceRequest(request), { name: "ArkError", code: "bad_request" });
  });
}

Deno.test("decodeInferenceEvent() reads every part, and drops what is not part of it", () => {
  for (const event of PARTS) assert.deepEqual(decodeInferenceEvent({ ...event, extra: 1 }), event);
});

Deno.test("decodeInferenceEvent() reads a part exactly, or refuses it, however it is spoilt", () => {
  fc.assert(
    fc.property(fc.oneof(...PARTS.map(almost)), (value) => {
      try {
        const event = decodeInferenceEvent(value);
        assert.deepEqual(decodeInferenceEvent(JSON.parse(JSON.stringify(event))), event);
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "unavailable", String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("joinParts() joins what is of one kind and one call, and loses no token", () => {
  for (const part of PARTS) {
    const joined = joinParts(part, part);
    if (part.type === "text" || part.type === "reasoning" || part.type === "tool_arguments") {
      assert.equal(joined && "text" in joined ? joined.text : "", part.text + part.text);
      assert.equal(joined && tokensOf(joined), 2 * part.tokens);
    } else assert.equal(joined, null);
    for (const other of PARTS) if (other.type !== part.type) assert.equal(joinParts(part, other), null);
  }
  const call = { type: "tool_arguments", text: "", tokens: 0 } as const;
  assert.equal(joinParts({ ...call, index: 0 }, { ...call, index: 1 }), null);
  const text = { type: "text", text: "b", tokens: 1 } as const;
  const joined = joinParts(PARTS[0] ?? text, text);
  assert.deepEqual(joined?.type === "text" && joined.logprobs?.map(({ token }) => token), ["a"]);
});
