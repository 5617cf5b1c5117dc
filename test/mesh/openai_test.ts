/** OpenAI's API through two nodes: the question enters `A`, the model is on `B`. Every answer is checked by its schema. */
import assert from "node:assert/strict";
import { chunksOf, failureOf, joined, wholeOf } from "../http/openai/answered.ts";
import { MODEL, Pair, type TestNode } from "./test_node.ts";

const CHAT = "/v1/chat/completions";
const COMPLETION = "/v1/completions";

function post(node: TestNode, path: string, body: Record<string, unknown>): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(node.api + path, { method: "POST", headers, body: JSON.stringify({ model: MODEL, ...body }) });
}

function said(content: string): Record<string, unknown> {
  return { messages: [{ role: "user", content }] };
}

function tool(name: string, required: string[] = []) {
  const properties = Object.fromEntries(required.map((one) => [one, { type: "string" }]));
  return { type: "function", function: { name, parameters: { type: "object", properties, required } } };
}

/** The same question in one piece and as a stream, through the mesh and to the node itself: all four must agree. */
async function everyWay(pair: Pair, path: string, body: Record<string, unknown>) {
  const whole = await wholeOf(await post(pair.b, path, body), path);
  for (const node of [pair.a, pair.b]) {
    const again = await wholeOf(await post(node, path, body), path);
    assert.deepEqual(again.choices, whole.choices);
    const options = { stream: true, stream_options: { include_usage: true } };
    const stream = joined(await chunksOf(await post(node, path, { ...body, ...options }), path));
    assert.deepEqual(stream.choices, whole.choices);
    assert.equal(stream.usage.total_tokens, whole.usage.total_tokens);
  }
  return whole;
}

Deno.test("OpenAI's API answers the same through a peer as from the node that has the model", async (test) => {
  await using pair = await Pair.start({ permissions: { max_concurrent_requests: 2 } });
  const { a, b } = pair;

  await test.step("functions", async () => {
    const tools = [tool("weather", ["city"]), tool("time")];
    const { choices: [{ message, finish_reason }] } = await everyWay(pair, CHAT, {
      ...said("#call=weather #call=time"),
      tools,
    });
    assert.equal(finish_reason, "tool_calls");
    const called = message.tool_calls.map((call: { function: unknown }) => call.function);
    assert.deepEqual(called, [{ name: "weather", arguments: '{"city":"w0"}' }, { name: "time", arguments: "{}" }]);
    const one = await everyWay(pair, CHAT, { ...said("#call=weather #call=time"), tools, parallel_tool_calls: false });
    assert.equal(one.choices[0].message.tool_calls.length, 1);
    const forced = await everyWay(pair, CHAT, {
      ...said("Hello"),
      tools,
      tool_choice: { type: "function", function: { name: "time" } },
    });
    assert.equal(forced.choices[0].message.tool_calls[0].function.name, "time");
    const none = await everyWay(pair, CHAT, { ...said("#call=time"), tools, tool_choice: "none", max_tokens: 2 });
    assert.equal(none.choices[0].message.content, "w0 w1");
  });

  await test.step("a conversation with results of functions", async () => {
    const messages = [
      { role: "user", content: "Is it raining?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"w0"}' } }],
      },
      { role: "tool", tool_call_id: "call_1", content: "yes" },
    ];
    const { choices } = await everyWay(pair, CHAT, { messages, tools: [tool("weather")], max_tokens: 2 });
    assert.deepEqual([choices[0].message.content, choices[0].finish_reason], ["w0 w1", "length"]);
  });

  await test.step("a schema", async () => {
    const schema = { type: "object", properties: { city: { enum: ["Köln"] } }, required: ["city"] };
    const response_format = { type: "json_schema", json_schema: { name: "place", strict: true, schema } };
    const { choices } = await everyWay(pair, CHAT, { ...said("Where?"), response_format });
    assert.deepEqual(JSON.parse(choices[0].message.content), { city: "Köln" });
    const json = await everyWay(pair, CHAT, { ...said("Where?"), response_format: { type: "json_object" } });
    assert.deepEqual(JSON.parse(json.choices[0].message.content), { w0: "w1" });
  });

  await test.step("thoughts, probabilities and texts that end an answer", async () => {
    const thought = await everyWay(pair, CHAT, { ...said("Hm"), reasoning_effort: "high", max_tokens: 5 });
    assert.deepEqual([thought.choices[0].message.reasoning_content, thought.choices[0].message.content], [
      "t0 t1 t2",
      "w0 w1",
    ]);
    assert.equal(thought.usage.completion_tokens_details.reasoning_tokens, 3);
    const asked = { ...said("Hm"), logprobs: true, top_logprobs: 2, max_tokens: 6, stop: " w3" };
    const { choices: [{ message, logprobs, finish_reason }] } = await everyWay(pair, CHAT, asked);
    assert.deepEqual([message.content, finish_reason], ["w0 w1 w2", "stop"]);
    assert.equal(logprobs.content.map(({ token }: { token: string }) => token).join(""), "w0 w1 w2");
    assert.equal(logprobs.content[0].top_logprobs.length, 2);
    const legacy = await everyWay(pair, COMPLETION, { prompt: "a b", logprobs: 2, max_tokens: 3 });
    assert.deepEqual(legacy.choices[0].logprobs.text_offset, [0, 2, 5]);
  });

  await test.step("more answers than the peer allows at a time", async () => {
    const { choices, usage } = await everyWay(pair, CHAT, { ...said("one two three"), n: 5, max_tokens: 2, seed: 1 });
    assert.equal(choices.length, 5);
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [3, 10]);
    const several = await everyWay(pair, COMPLETION, { prompt: ["a", "b c", "d"], n: 2, max_tokens: 2, echo: true });
    assert.deepEqual(several.choices.map(({ text }: { text: string }) => text), [
      "aw0 w1",
      "aw0 w1",
      "b cw0 w1",
      "b cw0 w1",
      "dw0 w1",
      "dw0 w1",
    ]);
    assert.equal(several.usage.prompt_tokens, 4);
  });

  await test.step("vectors", async () => {
    const input = ["the sea", "the sea", "a stone"];
    const [here, there] = await Promise.all([b, a].map(async (node) => {
      return await wholeOf(await post(node, "/v1/embeddings", { input }), "/v1/embeddings");
    }));
    assert.deepEqual(there, here);
    const vectors = here.data.map(({ embedding }: { embedding: number[] }) => embedding);
    assert.deepEqual(vectors[0], vectors[1]);
    assert.notDeepEqual(vectors[0], vectors[2]);
    for (const vector of vectors) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
    const cut = await wholeOf(
      await post(a, "/v1/embeddings", { input: "the sea", dimensions: 3, encoding_format: "base64" }),
      "/v1/embeddings",
    );
    assert.equal(atob(cut.data[0].embedding).length, 12);
    const wide = await post(a, "/v1/embeddings", { input: "the sea", dimensions: 9 });
    assert.deepEqual([wide.status, (await failureOf(wide)).param], [400, "dimensions"]);
  });

  await test.step("documents in order", async () => {
    const documents = ["stone", "the deep sea", "the sea"];
    const asked = { query: "deep sea", documents, top_n: 2 };
    const [here, there] = await Promise.all([b, a].map(async (node) => {
      return await wholeOf(await post(node, "/v1/rerank", asked), "/v1/rerank");
    }));
    assert.deepEqual(there, here);
    assert.deepEqual(here.results, [{ index: 1, relevance_score: 1 }, { index: 2, relevance_score: 0.5 }]);
  });

  await test.step("failures", async () => {
    const broken = await post(a, CHAT, said("#fail-after=2"));
    assert.deepEqual([broken.status, broken.headers.get("x-should-retry")], [500, "false"]);
    assert.equal((await failureOf(broken)).code, "engine_failed");
    const streamed = await (await post(a, CHAT, { ...said("#fail-after=2"), stream: true, n: 2 })).text();
    assert.match(
      streamed,
      /\ndata: {"error":{"message":.*,"type":"server_error","param":null,"code":"engine_failed"}}\n\n$/,
    );
    assert.doesNotMatch(streamed, /\[DONE\]/);
    const refused = await post(a, CHAT, { messages: [{ role: "user", content: [{ type: "image_url" }] }] });
    assert.deepEqual([refused.status, (await failureOf(refused)).param], [400, "messages[0].content[0].type"]);
  });
});
