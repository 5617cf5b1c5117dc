/** The Responses API and Anthropic's Messages API on whole nodes: here, and through a peer. */
import assert from "node:assert/strict";
import { eventsOf as messageEventsOf, replayed as messageOf } from "../http/anthropic/asking.ts";
import * as ANTHROPIC from "../http/anthropic/schemas.ts";
import { valid } from "../http/api/validate.ts";
import { eventsOf as responseEventsOf, replayed as responseOf } from "../http/responses/asking.ts";
import * as RESPONSES from "../http/responses/schemas.ts";
import { until } from "../inference/local_fixture.ts";
import { rawHttp } from "../support/raw_http.ts";
import { FIXTURES, MODEL, Pair, readStream, TestNode } from "./test_node.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

function post(node: TestNode, path: string, { body, ...init }: Omit<RequestInit, "body"> & { body: unknown }) {
  const headers = { "content-type": "application/json", ...init.headers };
  return fetch(node.api + path, { method: "POST", ...init, headers, body: JSON.stringify(body) });
}

/** Text of a message, and what it cost. */
function said(message: Json): unknown {
  const { input_tokens, cache_read_input_tokens, output_tokens } = message.usage;
  return {
    text: message.content.map(({ text = "" }) => text).join(""),
    prompt: input_tokens + cache_read_input_tokens,
    answer: output_tokens,
    cut: message.stop_reason === "max_tokens",
  };
}

/** The same of a response. */
function told(response: Json): unknown {
  const text = response.output.flatMap(({ content = [] }) => content).map(({ text = "" }) => text).join("");
  const { input_tokens, output_tokens } = response.usage;
  return { text, prompt: input_tokens, answer: output_tokens, cut: response.status === "incomplete" };
}

Deno.test("All families say the same to the same question: streamed, whole, here and through a peer", async () => {
  await using pair = await Pair.start({ worker: "worker_main" });
  const messages = [{ role: "user", content: "Once upon a time" }];
  const shared = { model: MODEL, temperature: 0, seed: 7 };
  const answers: unknown[] = [];
  for (const node of [pair.b, pair.a]) {
    const chat = { ...shared, messages, max_tokens: 12 };
    const { choices, usage } = await (await node.chat(chat)).json();
    answers.push({
      text: choices[0].message.content,
      prompt: usage.prompt_tokens,
      answer: usage.completion_tokens,
      cut: choices[0].finish_reason === "length",
    });
    assert.equal((await readStream(await node.chat({ ...chat, stream: true }))).text, choices[0].message.content);

    const message = await post(node, "/v1/messages", { body: chat });
    answers.push(said(valid(await message.json(), ANTHROPIC.MESSAGE)));
    const streamed = await post(node, "/v1/messages", { body: { ...chat, stream: true } });
    assert.equal(streamed.headers.get("x-ark-route"), node === pair.a ? "peer" : "local");
    answers.push(said(messageOf(await messageEventsOf(streamed))));

    const body = { ...shared, input: messages, max_output_tokens: 12 };
    const response = await post(node, "/v1/responses", { body });
    answers.push(told(valid(await response.json(), RESPONSES.RESPONSE)));
    const events = await responseEventsOf(await post(node, "/v1/responses", { body: { ...body, stream: true } }));
    answers.push(told(responseOf(events).response));

    const { max_tokens: _, ...counted } = chat;
    const count = await post(node, "/v1/messages/count_tokens", { body: counted });
    assert.deepEqual(await count.json(), { input_tokens: usage.prompt_tokens });
    const tokens = await post(node, "/v1/responses/input_tokens", { body: { model: MODEL, input: messages } });
    assert.equal((await tokens.json()).input_tokens, usage.prompt_tokens);
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  const { text } = answers[0] as { text: string };
  assert.ok(text.length > 10, text);
});

Deno.test("Functions are called through a peer in both shapes, and a conversation goes on from a kept response", async () => {
  await using pair = await Pair.start();
  const { a } = pair;
  const tool = { name: "weather", description: "Looks it up" };
  const messages: Json[] = [{ role: "user", content: "#call=weather" }];
  const asked = { model: MODEL, max_tokens: 64, tools: [{ ...tool, input_schema: SCHEMA }] };
  for (const stream of [false, true]) {
    const answer = await post(a, "/v1/messages", { body: { ...asked, messages, stream } });
    const { content, stop_reason } = stream
      ? messageOf(await messageEventsOf(answer))
      : valid(await answer.json(), ANTHROPIC.MESSAGE);
    assert.equal(stop_reason, "tool_use");
    const { id, name, input } = content.at(-1);
    assert.deepEqual([name, Object.keys(input)], ["weather", ["city"]]);
    const results = [{ type: "tool_result", tool_use_id: id, content: "sunny" }];
    const next = [...messages, { role: "assistant", content }, { role: "user", content: results }];
    const last = await (await post(a, "/v1/messages", { body: { ...asked, max_tokens: 3, messages: next } })).json();
    assert.equal(last.content[0].text, "w0 w1 w2");
  }
  const first = await post(a, "/v1/responses", {
    body: { model: MODEL, input: "#call=weather", tools: [{ type: "function", ...tool, parameters: SCHEMA }] },
  });
  const { id, output } = valid(await first.json(), RESPONSES.RESPONSE);
  const call_id = output.at(-1).call_id;
  const input = [{ type: "function_call_output", call_id, output: "canary-sunny" }];
  const body = { model: MODEL, previous_response_id: id, input, max_output_tokens: 3, stream: true };
  const { response } = responseOf(await responseEventsOf(await post(a, "/v1/responses", { body })));
  assert.equal(response.output[0].content[0].text, "w0 w1 w2");
  const asks = pair.b.workerLog().split("\n").filter((line) => line.includes("canary-sunny"));
  assert.match(asks[0] ?? "", /#call=weather.*"tool_calls".*canary-sunny/);
  // Only the asking node keeps it: the peer is told the conversation and no id.
  assert.ok(!pair.b.workerLog().includes(id));
  const elsewhere = await post(pair.b, "/v1/responses", { body });
  assert.equal((await elsewhere.json()).error.code, "previous_response_not_found");
});

Deno.test("A stream that breaks at the peer ends in each family's own failure", async () => {
  await using pair = await Pair.start();
  const { a } = pair;
  const messages = [{ role: "user", content: "#fail-after=2" }];
  const message = await post(a, "/v1/messages", { body: { model: MODEL, max_tokens: 9, messages, stream: true } });
  const events = await message.text();
  assert.match(events, /event: error\ndata: .*"request_id".*\n\n$/);
  assert.ok(!events.includes("message_stop"));
  const body = { model: MODEL, input: messages, stream: true };
  const { type, response } = responseOf(await responseEventsOf(await post(a, "/v1/responses", { body })));
  assert.deepEqual([type, response.output[0].content[0].text], ["response.failed", "w0 w1"]);
});

Deno.test("A client that goes away stops the engine of the peer, whichever family it spoke", async () => {
  await using pair = await Pair.start();
  const content = "#slow=5 one";
  const questions = [
    ["/v1/messages", { model: MODEL, max_tokens: 400, messages: [{ role: "user", content }], stream: true }],
    ["/v1/responses", { model: MODEL, max_output_tokens: 400, input: content, stream: true }],
  ] as const;
  for (const [index, [path, body]] of questions.entries()) {
    const client = new AbortController();
    const response = await post(pair.a, path, { body, signal: client.signal });
    const reader = response.body?.getReader() ?? assert.fail();
    for (let text = ""; !text.includes("w1"); text += new TextDecoder().decode((await reader.read()).value));
    client.abort();
    await assert.rejects(reader.read());
    const over = () => pair.b.workerLog().split("\n").filter((line) => line.includes("fake:over"));
    await until(() => over().length === index + 1);
    const { cancelled, tokens } = JSON.parse(over()[index] ?? "{}");
    assert.ok(cancelled && tokens < 400, `${tokens}`);
  }
});

Deno.test("A kept response is in memory alone: neither a file nor the log has its words", async () => {
  await using node = await TestNode.start({ name: "A", models: [FIXTURES] });
  const body = { model: MODEL, input: "canary-question", instructions: "canary-rule", max_output_tokens: 4 };
  const { id } = await (await post(node, "/v1/responses", { body })).json();
  assert.equal((await (await fetch(`${node.api}/v1/responses/${id}`)).json()).id, id);
  const files = (await Array.fromAsync(Deno.readDir(node.data))).filter(({ isFile }) => isFile).map(({ name }) => name);
  assert.ok(files.includes("node.db") && files.includes("audit.log"), files.join(" "));
  for (const name of files) {
    const bytes = await Deno.readFile(`${node.data}/${name}`);
    const text = new TextDecoder("latin1").decode(bytes);
    for (const canary of ["canary-question", "canary-rule", "w0 w1", id]) assert.ok(!text.includes(canary), name);
  }
  for (const line of node.log) assert.ok(!/canary|w0 w1/.test(line), line);
});

Deno.test("A node that is no gateway says so in Anthropic's shape", async () => {
  await using node = await TestNode.start({ name: "A", models: [FIXTURES], role: "compute" });
  const response = await post(node, "/v1/messages", { body: {} });
  assert.equal(response.status, 404);
  assert.equal(valid(await response.json(), ANTHROPIC.FAILURE).error.type, "not_found_error");
});

Deno.test("Whoever is not let in hears so in the shape of the family that was asked", async () => {
  await using node = await TestNode.start({ name: "A", models: [FIXTURES], flags: { "require-keys": true } });
  const body = { model: MODEL, max_tokens: 2, messages: [{ role: "user", content: "one" }] };
  for (const path of ["/v1/messages", "/v1/messages/count_tokens", "/arknet/v1/messages"]) {
    const response = await post(node, path, { body });
    assert.equal(response.status, 401);
    const failure = valid(await response.json(), ANTHROPIC.FAILURE);
    assert.equal(failure.error.type, "authentication_error");
    assert.equal(failure.request_id, response.headers.get("request-id"));
  }
  const other = await post(node, "/v1/responses", { body: { model: MODEL, input: "one" } });
  assert.equal(valid(await other.json(), RESPONSES.FAILURE).error.type, "authentication_error");

  const { text: key } = (await node.admin<{ text: string }>("/keys", {
    name: "app",
    models: ["*"],
    max_requests_per_minute: null,
    max_tokens_per_day: null,
    max_concurrent_requests: null,
    local_only: false,
    expires_at: null,
  })).body;
  for (const headers of [{ "x-api-key": key }, { authorization: `Bearer ${key}` }]) {
    const response = await post(node, "/v1/messages", { body, headers });
    assert.equal(valid(await response.json(), ANTHROPIC.MESSAGE).content[0].text, "w0 w1");
  }

  const lists = await Promise.all([{}, { "anthropic-version": "2023-06-01" }].map(async (headers) => {
    return await (await fetch(`${node.api}/v1/models`, { headers: { ...headers, "x-api-key": key } })).json();
  }));
  assert.deepEqual(lists.map(({ object, has_more }) => [object, has_more]), [["list", undefined], [undefined, false]]);

  for (const path of ["/v1/messages/%ff", "/v1/messages/%E0%A4%A", "/v1/messages//"]) {
    const response = await post(node, path, { body, headers: { "x-api-key": key } });
    valid(await response.json(), ANTHROPIC.FAILURE);
  }
  const { port } = new URL(node.api);
  const request =
    `POST /v1/messages HTTP/1.1\r\nHost: rebound.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
  const [head = "", refused = ""] = (await rawHttp(Number(port), request)).split("\r\n\r\n");
  assert.match(head, /^HTTP\/1\.1 403 /);
  assert.equal(valid(JSON.parse(refused), ANTHROPIC.FAILURE).error.type, "permission_error");
});
