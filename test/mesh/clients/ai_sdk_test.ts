import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import assert from "node:assert/strict";
import type { Pair } from "../test_node.ts";
import {
  assertCity,
  BREAKS,
  cancelled,
  CITY_SCHEMA,
  FOUR_WORDS,
  MODEL,
  SLOW,
  stopsEarly,
  twoNodes,
} from "./two_nodes.ts";

type Provider = ReturnType<typeof createOpenAICompatible>;

function test(what: string, run: (provider: Provider, pair: Pair) => Promise<void>): void {
  Deno.test(`@ai-sdk/openai-compatible through two nodes: ${what}`, async () => {
    await using pair = await twoNodes();
    const baseURL = `${pair.a.api}/v1`;
    await run(
      createOpenAICompatible({ name: "ark", baseURL, supportsStructuredOutputs: true, includeUsage: true }),
      pair,
    );
  });
}

function said(text: string) {
  return [{ role: "user" as const, content: [{ type: "text" as const, text }] }];
}

const weather = {
  type: "function" as const,
  name: "weather",
  inputSchema: { ...CITY_SCHEMA, required: ["city", "days"] },
};

test("a chat and its stream", async (provider) => {
  const model = provider.chatModel(MODEL);
  const whole = await model.doGenerate({ prompt: said("one two three"), maxOutputTokens: 4 });
  assert.deepEqual(whole.content, [{ type: "text", text: FOUR_WORDS }]);
  assert.equal(whole.finishReason.unified, "length");
  let text = "";
  const { stream } = await model.doStream({ prompt: said("one two three"), maxOutputTokens: 4 });
  for await (const part of stream) if (part.type === "text-delta") text += part.delta;
  assert.equal(text, FOUR_WORDS);
});

test("tools, schemas and vectors", async (provider) => {
  const model = provider.chatModel(MODEL);
  const tools = { tools: [weather], toolChoice: { type: "required" as const } };
  const { content } = await model.doGenerate({ prompt: said("one"), ...tools });
  const [call] = content.filter((part) => part.type === "tool-call");
  assertCity(JSON.parse(call?.input ?? ""));
  const { stream } = await model.doStream({ prompt: said("one"), ...tools });
  let input = "";
  for await (const part of stream) if (part.type === "tool-call") input = part.input;
  assertCity(JSON.parse(input));
  const format = { type: "json" as const, schema: weather.inputSchema, name: "city" };
  const object = await model.doGenerate({ prompt: said("one"), responseFormat: format });
  const [written] = object.content;
  assertCity(JSON.parse(written?.type === "text" ? written.text : ""));
  const { embeddings } = await provider.embeddingModel(MODEL).doEmbed({ values: ["one", "two"] });
  for (const vector of embeddings) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-4);
});

test("errors, a client that leaves, and a stream that breaks", async (provider, pair) => {
  const nobody = provider.chatModel("nobody-has-this");
  await assert.rejects(Promise.resolve(nobody.doGenerate({ prompt: said("one") })), { statusCode: 404 });
  const model = provider.chatModel(MODEL);
  const before = cancelled(pair).length;
  const leaving = await model.doStream({ prompt: said(SLOW), maxOutputTokens: 1_000 });
  for await (const part of leaving.stream) if (part.type === "text-delta") break;
  await stopsEarly(pair, before);
  const broken = await model.doStream({ prompt: said(BREAKS), maxOutputTokens: 100 });
  let [text, failed] = ["", false];
  for await (const part of broken.stream) {
    if (part.type === "text-delta") text += part.delta;
    failed ||= part.type === "error";
  }
  assert.deepEqual([text, failed], ["w0 w1 w2", true]);
});
