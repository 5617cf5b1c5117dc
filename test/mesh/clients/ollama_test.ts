import assert from "node:assert/strict";
import { Ollama } from "ollama";
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

const messages = [{ role: "user", content: "one two three" }];
const options = { num_predict: 4 };

function test(what: string, run: (client: Ollama, pair: Pair) => Promise<void>): void {
  // The client reads a stream no further than its last line, and leaves the body open.
  Deno.test(`ollama 0.6.4 through two nodes: ${what}`, { sanitizeResources: false }, async () => {
    await using pair = await twoNodes();
    await run(new Ollama({ host: pair.a.api }), pair);
  });
}

test("lists, a chat, a raw prompt and their streams", async (client) => {
  const { models } = await client.list();
  assert.ok(models.some(({ name }) => name === MODEL));
  const whole = await client.chat({ model: MODEL, messages, options });
  assert.deepEqual([whole.message.content, whole.done_reason, whole.eval_count], [FOUR_WORDS, "length", 4]);
  assert.ok(whole.total_duration > 0 && whole.prompt_eval_count === 3);
  let text = "";
  for await (const part of await client.chat({ model: MODEL, messages, options, stream: true })) {
    text += part.message.content;
  }
  assert.equal(text, FOUR_WORDS);
  const generated = await client.generate({ model: MODEL, prompt: "one two", options });
  assert.equal(generated.response, FOUR_WORDS);
  text = "";
  for await (const part of await client.generate({ model: MODEL, prompt: "one", options, stream: true })) {
    text += part.response;
  }
  assert.equal(text, FOUR_WORDS);
});

test("a tool is called with an object, and its result is read", async (client) => {
  const tools = [{ type: "function", function: { name: "weather", description: "", parameters: { ...CITY_SCHEMA } } }];
  // Ollama's API has no word for a tool that must be called: the engine of the test takes this one.
  const asking = [{ role: "user", content: "one #call=weather" }];
  // The client's types know fewer schemas than JSON has.
  const asked = { model: MODEL, messages: asking, tools: tools as never };
  const { message } = await client.chat(asked);
  const [call] = message.tool_calls ?? [];
  assert.equal(call?.function.name, "weather");
  assertCity(call?.function.arguments);
  let streamed: unknown;
  for await (const part of await client.chat({ ...asked, stream: true })) {
    streamed = part.message.tool_calls?.[0]?.function.arguments ?? streamed;
  }
  assertCity(streamed);
  const result = { role: "tool", content: "31 degrees", tool_name: "weather" };
  const answered = await client.chat({ model: MODEL, messages: [...messages, message, result], options });
  assert.equal(answered.message.content, FOUR_WORDS);
});

test("a schema is kept to, and texts become vectors", async (client) => {
  const { message } = await client.chat({ model: MODEL, messages, format: { ...CITY_SCHEMA } });
  assertCity(JSON.parse(message.content));
  const { embeddings } = await client.embed({ model: MODEL, input: ["one", "two words"] });
  assert.equal(embeddings.length, 2);
  for (const vector of embeddings) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-4);
});

test("errors are sentences", async (client) => {
  await assert.rejects(client.chat({ model: "nobody-has-this", messages }), {
    status_code: 404,
    message: /nobody-has-this/,
  });
  await assert.rejects(client.embed({ model: "nobody-has-this", input: "a" }), { status_code: 404 });
});

test("a client that leaves stops the engine on the other node", async (client, pair) => {
  const before = cancelled(pair).length;
  const asked = { model: MODEL, messages: [{ role: "user", content: SLOW }], options: { num_predict: 1_000 } };
  const stream = await client.chat({ ...asked, stream: true });
  await assert.rejects(async () => {
    for await (const part of stream) if (part.message.content !== "") stream.abort();
  }, { name: "AbortError" });
  await stopsEarly(pair, before);
});

test("a stream that breaks is an error, never a short answer", async (client) => {
  let text = "";
  const asked = { model: MODEL, messages: [{ role: "user", content: BREAKS }], options: { num_predict: 100 } };
  await assert.rejects(async () => {
    for await (const part of await client.chat({ ...asked, stream: true })) text += part.message.content;
  });
  assert.equal(text, "w0 w1 w2");
});
