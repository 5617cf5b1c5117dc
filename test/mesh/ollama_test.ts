import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { assertAnswerLines, assertShape } from "../http/ollama/schemas.ts";
import { MODEL, Pair, readStream, type TestNode } from "./test_node.ts";

function post(node: TestNode, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(node.api + path, { method: "POST", body: JSON.stringify(body), signal: signal ?? null });
}

async function linesOf(response: Response): Promise<Record<string, unknown>[]> {
  return (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
}

const TOOL = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

Deno.test("Ollama's API answers with a peer's model as with this node's own, with the same text as OpenAI's", async () => {
  await using pair = await Pair.start();
  const { a } = pair;
  const tags = await (await fetch(`${a.api}/api/tags`)).json();
  assertShape("tags", tags);
  assert.deepEqual(tags.models.map(({ name }: { name: string }) => name), [MODEL]);
  const messages = [{ role: "user", content: "one two three" }];
  const options = { num_predict: 5, temperature: 0, seed: 7 };

  const streamed = await post(a, "/api/chat", { model: "arkling", messages, options, keep_alive: "1h" });
  assert.equal(streamed.headers.get("x-ark-node"), "B");
  const lines = await linesOf(streamed);
  assertAnswerLines("chat", lines);
  const text = lines.map(({ message }) => (message as { content: string }).content).join("");
  const whole = await (await post(a, "/api/chat", { model: MODEL, messages, options, stream: false })).json();
  assertShape("chatDone", whole);
  const openai = await readStream(await a.chat({ model: MODEL, max_tokens: 5, temperature: 0, seed: 7, stream: true }));
  assert.equal(openai.error, null);
  assert.deepEqual([text, whole.message.content, openai.text], ["w0 w1 w2 w3 w4", text, text]);
  assert.deepEqual([whole.prompt_eval_count, whole.eval_count, whole.done_reason], [3, 5, "length"]);

  const made = await linesOf(await post(a, "/api/generate", { model: MODEL, prompt: "one two", options }));
  assertAnswerLines("generate", made);
  const show = await (await post(a, "/api/show", { model: "arkling" })).json();
  assertShape("show", show);
  assert.deepEqual(await (await fetch(`${a.api}/api/ps`)).json(), { models: [] });
  const load = await (await post(a, "/api/generate", { model: MODEL, stream: false })).json();
  assertShape("generateIdle", load);
});

Deno.test("Tools, schemas, thoughts and vectors of a peer's model come through Ollama's API", async () => {
  await using pair = await Pair.start();
  const { a } = pair;
  const messages = [{ role: "user", content: "#call=weather #think" }];
  const called = await linesOf(await post(a, "/api/chat", { model: MODEL, messages, tools: [TOOL] }));
  assertAnswerLines("chat", called);
  const said = called.map(({ message }) => message as { thinking?: string; tool_calls?: { function: unknown }[] });
  assert.equal(said.map(({ thinking = "" }) => thinking).join(""), "t0 t1 t2");
  const calls = said.flatMap(({ tool_calls = [] }) => tool_calls);
  assert.deepEqual(calls.map((call) => call.function), [{ index: 0, name: "weather", arguments: { city: "w0" } }]);

  const answered = [...messages, { role: "assistant", content: "", tool_calls: calls }, {
    role: "tool",
    tool_name: "weather",
    content: "sun",
  }];
  const done = await (await post(a, "/api/chat", { model: MODEL, messages: answered, tools: [TOOL], stream: false }))
    .json();
  assertShape("chatDone", done);

  const format = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] };
  const body = { model: MODEL, prompt: "one", format, stream: false };
  const formed = await (await post(a, "/api/generate", body)).json();
  assertShape("generateDone", formed);
  assert.deepEqual(Object.keys(JSON.parse(formed.response)), ["ok"]);

  const chances = { model: MODEL, messages: [{ role: "user", content: "one" }], logprobs: true, top_logprobs: 2 };
  const told = await linesOf(await post(a, "/api/chat", { ...chances, options: { num_predict: 3 } }));
  assertAnswerLines("chat", told);
  assert.equal(told.flatMap(({ logprobs = [] }) => logprobs as unknown[]).length, 3);

  const vectors = await (await post(a, "/api/embed", { model: MODEL, input: ["one", "two three"] })).json();
  assertShape("embed", vectors);
  const one = await (await post(a, "/api/embeddings", { model: MODEL, prompt: "one" })).json();
  assert.deepEqual([vectors.embeddings.length, one.embedding], [2, vectors.embeddings[0]]);
});

Deno.test("A peer that breaks in mid-stream is an error line, and a client that leaves stops the peer's engine", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const ask = (content: string, signal?: AbortSignal) =>
    post(
      a,
      "/api/chat",
      { model: MODEL, messages: [{ role: "user", content }], options: { num_predict: 5_000 } },
      signal,
    );
  const broken = await linesOf(await ask("#slow=1 #crash-after=3"));
  assertShape("error", broken.at(-1));
  assert.ok(!broken.some(({ done }) => done === true));

  const client = new AbortController();
  const response = await ask("#slow=5", client.signal);
  const reader = response.body?.getReader() ?? assert.fail();
  await reader.read();
  client.abort();
  await assert.rejects(reader.read());
  await until(() => b.workerLog().includes('"cancelled":true'));
});
