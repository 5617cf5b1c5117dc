/** What OpenAI's client does with a node, the same for every version of it that is in use. */
import assert from "node:assert/strict";
import type OpenAI from "openai";
import { until } from "../../inference/local_fixture.ts";
import type { Pair } from "../test_node.ts";
import {
  assertCity,
  BREAKS,
  cancelled,
  CITY_SCHEMA,
  FOUR_WORDS,
  MODEL,
  questions,
  SLOW,
  stopsEarly,
  twoNodes,
} from "./two_nodes.ts";

/** The part of the client's module that is used; versions differ in types that do not matter here. */
export interface OpenAiModule {
  default: new (options: { baseURL: string; apiKey: string; maxRetries?: number }) => OpenAI;
}

const messages = [{ role: "user" as const, content: "one two three" }];
const tools = [{
  type: "function" as const,
  function: { name: "weather", description: "The weather", parameters: { ...CITY_SCHEMA } },
}];

/** Registers the tests for one version. */
export function openAiTests(version: string, module: OpenAiModule): void {
  const test = (what: string, run: (client: OpenAI, pair: Pair) => Promise<void>) =>
    Deno.test(`openai ${version} through two nodes: ${what}`, async () => {
      await using pair = await twoNodes();
      await run(new module.default({ baseURL: `${pair.a.api}/v1`, apiKey: "none" }), pair);
    });

  test("models, a chat, its stream and the stream helper", async (client) => {
    const models = await client.models.list();
    assert.ok(models.data.some(({ id }) => id === MODEL));
    assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
    const asked = { model: MODEL, messages, max_tokens: 4 };
    const whole = await client.chat.completions.create(asked);
    assert.equal(whole.choices[0]?.message.content, FOUR_WORDS);
    assert.equal(whole.usage?.total_tokens, 7);
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
    }
    assert.equal(text, FOUR_WORDS);
    const helper = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
    assert.equal(await helper.finalContent(), FOUR_WORDS);
    assert.equal((await helper.totalUsage()).completion_tokens, 4);
    const completion = await client.completions.create({ model: MODEL, prompt: "one two", max_tokens: 4 });
    assert.equal(completion.choices[0]?.text, FOUR_WORDS);
    const several = await client.chat.completions.create({ ...asked, n: 3 });
    assert.deepEqual(several.choices.map(({ index }) => index), [0, 1, 2]);
  });

  test("a tool is called, in one piece and streamed, and its result is read", async (client) => {
    const asked = { model: MODEL, messages, tools, tool_choice: "required" as const };
    const whole = await client.chat.completions.create(asked);
    const [choice] = whole.choices;
    assert.equal(choice?.finish_reason, "tool_calls");
    const [call] = choice.message.tool_calls ?? [];
    assert.ok(call?.type === "function");
    assert.equal(call.function.name, "weather");
    assertCity(JSON.parse(call.function.arguments));
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    const [again] = streamed.choices[0]?.message.tool_calls ?? [];
    assert.ok(again?.type === "function" && again.id !== undefined);
    assertCity(JSON.parse(again.function.arguments));
    const answered = await client.chat.completions.create({
      model: MODEL,
      max_tokens: 4,
      tools,
      tool_choice: "none",
      messages: [...messages, choice.message, { role: "tool", tool_call_id: call.id, content: "31 degrees" }],
    });
    assert.equal(answered.choices[0]?.message.content, FOUR_WORDS);
  });

  test("a strict schema is kept to", async (client) => {
    const format = {
      type: "json_schema" as const,
      json_schema: { name: "city", strict: true, schema: { ...CITY_SCHEMA } },
    };
    const answer = await client.chat.completions.create({ model: MODEL, messages, response_format: format });
    assertCity(JSON.parse(answer.choices[0]?.message.content ?? ""));
    const parsed = await client.chat.completions.parse({ model: MODEL, messages, response_format: format });
    assertCity(parsed.choices[0]?.message.parsed);
  });

  test("chances of tokens", async (client) => {
    const asked = { model: MODEL, messages, max_tokens: 4, logprobs: true, top_logprobs: 2 };
    const { choices: [choice] } = await client.chat.completions.create(asked);
    const entries = choice?.logprobs?.content ?? [];
    assert.equal(entries.map(({ token }) => token).join(""), FOUR_WORDS);
    assert.ok(entries.every(({ logprob, top_logprobs }) => logprob <= 0 && top_logprobs.length === 2));
  });

  test("embeddings are whole numbers of floats, in the client's own encoding and as a list", async (client) => {
    const input = ["one", "two words"];
    const packed = await client.embeddings.create({ model: MODEL, input });
    const listed = await client.embeddings.create({ model: MODEL, input, encoding_format: "float" });
    assert.deepEqual(packed.data.map(({ index }) => index), [0, 1]);
    for (const [index, { embedding }] of packed.data.entries()) {
      assert.ok(embedding.length > 1);
      assert.deepEqual(embedding, listed.data[index]?.embedding);
      assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-4);
    }
    const short = await client.embeddings.create({ model: MODEL, input: "one", dimensions: 2 });
    assert.equal(short.data[0]?.embedding.length, 2);
  });

  test("Responses, streamed and continued", async (client) => {
    const first = await client.responses.create({ model: MODEL, input: "one two three", max_output_tokens: 4 });
    assert.equal(first.output_text, FOUR_WORDS);
    const next = await client.responses.create({ model: MODEL, input: "four", previous_response_id: first.id });
    assert.ok((next.usage?.input_tokens ?? 0) > (first.usage?.input_tokens ?? Infinity));
    const stream = client.responses.stream({ model: MODEL, input: "one", max_output_tokens: 4 });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    assert.equal((await stream.finalResponse()).output_text, FOUR_WORDS);
    assert.deepEqual([types[0], types.includes("response.output_text.delta")], ["response.created", true]);
    const called = await client.responses.create({
      model: MODEL,
      input: "one",
      tools: [{ type: "function", name: "weather", strict: true, parameters: { ...CITY_SCHEMA } }],
      tool_choice: "required",
    });
    const [item] = called.output.filter(({ type }) => type === "function_call");
    assert.ok(item?.type === "function_call");
    assertCity(JSON.parse(item.arguments));
  });

  test("errors have their types", async (client) => {
    const wrong = (body: object) => client.chat.completions.create({ model: MODEL, messages, ...body });
    await assert.rejects(wrong({ model: "nobody-has-this" }), { status: 404, code: "model_not_found" });
    await assert.rejects(wrong({ messages: [] }), { status: 400, type: "invalid_request_error" });
    await assert.rejects(wrong({ top_logprobs: 21, logprobs: true }), { status: 400 });
    await assert.rejects(client.embeddings.create({ model: MODEL, input: [] }), { status: 400 });
    await assert.rejects(client.responses.create({ model: MODEL, input: "a", previous_response_id: "resp_none" }), {
      code: "previous_response_not_found",
    });
  });

  test("a client that leaves stops the engine on the other node", async (client, pair) => {
    const before = cancelled(pair).length;
    const asked = { model: MODEL, messages: [{ role: "user" as const, content: SLOW }], max_tokens: 1_000 };
    const stream = await client.chat.completions.create({ ...asked, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    await stopsEarly(pair, before);
    const abort = new AbortController();
    const whole = client.chat.completions.create(asked, { signal: abort.signal });
    const rejected = assert.rejects(whole, /abort/i);
    await until(() => questions(pair) === 2);
    abort.abort();
    await rejected;
    await stopsEarly(pair, before + 1);
  });

  test("a stream that breaks is an error, never a short answer", async (client, pair) => {
    const asked = { model: MODEL, messages: [{ role: "user" as const, content: BREAKS }], max_tokens: 100 };
    let text = "";
    await assert.rejects(async () => {
      for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? "";
      }
    }, { name: /Error/, type: "server_error" });
    assert.equal(text, "w0 w1 w2");
    await assert.rejects(client.chat.completions.stream(asked).finalContent());
    const before = questions(pair);
    await assert.rejects(client.chat.completions.create(asked), { status: 500, code: "engine_failed" });
    assert.equal(questions(pair), before + 1, "A request that ran is not repeated by the client");
    const response = client.responses.stream({ model: MODEL, input: BREAKS, max_output_tokens: 100 });
    assert.equal((await response.finalResponse()).status, "failed");
  });
}
