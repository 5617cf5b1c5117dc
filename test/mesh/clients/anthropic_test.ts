import Anthropic from "@anthropic-ai/sdk";
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

const messages = [{ role: "user" as const, content: "one two three" }];
const asked = { model: MODEL, max_tokens: 4, messages };
const tools = [{
  name: "weather",
  description: "The weather",
  input_schema: { ...CITY_SCHEMA, required: ["city", "days"] },
}];

function test(what: string, run: (client: Anthropic, pair: Pair) => Promise<void>): void {
  Deno.test(`@anthropic-ai/sdk through two nodes: ${what}`, async () => {
    await using pair = await twoNodes();
    await run(new Anthropic({ baseURL: pair.a.api, apiKey: "none" }), pair);
  });
}

function textOf({ content }: { content: readonly Anthropic.ContentBlock[] }): string {
  return content.flatMap((block) => block.type === "text" ? [block.text] : []).join("");
}

test("a message, its stream and the stream helper", async (client) => {
  const whole = await client.messages.create(asked);
  assert.equal(textOf(whole), FOUR_WORDS);
  assert.deepEqual([whole.stop_reason, whole.usage.input_tokens, whole.usage.output_tokens], ["max_tokens", 3, 4]);
  let text = "";
  for await (const event of await client.messages.create({ ...asked, stream: true })) {
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text;
  }
  assert.equal(text, FOUR_WORDS);
  const final = await client.messages.stream(asked).finalMessage();
  assert.deepEqual([textOf(final), final.stop_reason, final.usage.output_tokens], [FOUR_WORDS, "max_tokens", 4]);
  const counted = await client.messages.countTokens({ model: MODEL, messages });
  assert.equal(counted.input_tokens, 3);
});

test("a tool is called, in one piece and streamed, and its result is read", async (client) => {
  const forced = { ...asked, max_tokens: 200, tools, tool_choice: { type: "tool" as const, name: "weather" } };
  for (const answer of [await client.messages.create(forced), await client.messages.stream(forced).finalMessage()]) {
    assert.equal(answer.stop_reason, "tool_use");
    const [use] = answer.content.filter((block) => block.type === "tool_use");
    assert.equal(use?.name, "weather");
    assertCity(use?.input);
    const result = { type: "tool_result" as const, tool_use_id: use?.id ?? "", content: "31 degrees" };
    const answered = await client.messages.create({
      ...asked,
      tools,
      tool_choice: { type: "none" },
      messages: [...messages, { role: "assistant", content: answer.content }, { role: "user", content: [result] }],
    });
    assert.equal(textOf(answered), FOUR_WORDS);
  }
});

test("errors have their types", async (client) => {
  await assert.rejects(client.messages.create({ ...asked, model: "nobody-has-this" }), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create({ ...asked, messages: [] }), Anthropic.BadRequestError);
});

test("a client that leaves stops the engine on the other node", async (client, pair) => {
  const before = cancelled(pair).length;
  const stream = client.messages.stream({
    model: MODEL,
    max_tokens: 1_000,
    messages: [{ role: "user", content: SLOW }],
  });
  for await (const event of stream) if (event.type === "content_block_delta") break;
  await stopsEarly(pair, before);
});

test("a stream that breaks is an error, never a short answer", async (client) => {
  const broken = { model: MODEL, max_tokens: 100, messages: [{ role: "user" as const, content: BREAKS }] };
  let text = "";
  await assert.rejects(async () => {
    for await (const event of await client.messages.create({ ...broken, stream: true })) {
      if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text;
    }
  }, Anthropic.APIError);
  assert.equal(text, "w0 w1 w2");
  await assert.rejects(client.messages.stream(broken).finalMessage());
});
