import assert from "node:assert/strict";
import { type AnswerPart, ArkError, type InferenceEvent } from "@ark/node/protocol";
import { answering, EVERYTHING, TEXT, TEXTS } from "../api/answer_scripts.ts";
import { failing, MODEL, ScriptedAnswers, START, telling } from "../api/scripted_answers.ts";
import { isClosed, valid } from "../api/validate.ts";
import { Asking, failureOf, type Json, QUESTION, replayed } from "./asking.ts";
import * as SCHEMAS from "./schemas.ts";

/** A message without its id. */
function lasting({ id: _, ...rest }: Json): Json {
  return rest;
}

Deno.test("The schemas of Anthropic's API refuse every property that they do not know", () => {
  assert.ok(isClosed(SCHEMAS));
});

Deno.test("anthropicRoutes() streams a text in Anthropic's order, and gives the same text in one piece", async () => {
  const asking = new Asking(new ScriptedAnswers(answering(TEXTS)));
  const events = await asking.streamed();
  const deltas = TEXTS.filter((part) => "text" in part && part.text !== "").map(() => "content_block_delta");
  assert.deepEqual(events.map(({ type }) => type), [
    "message_start",
    "ping",
    "content_block_start",
    ...deltas,
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  const whole = await asking.whole();
  assert.deepEqual(lasting(replayed(events)), lasting(whole));
  assert.deepEqual(whole.content, [{ type: "text", text: TEXT }]);
  assert.deepEqual([whole.model, whole.stop_reason, whole.stop_sequence], [MODEL, "end_turn", null]);
  const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens } = whole.usage;
  assert.deepEqual([input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens], [2, 5, 0, 7]);
});

Deno.test("anthropicRoutes() gives thoughts, text and calls as blocks, streamed as whole", async () => {
  const asking = new Asking(new ScriptedAnswers(answering(EVERYTHING, { reason: "tool_calls" })));
  const whole = await asking.whole();
  assert.deepEqual(lasting(replayed(await asking.streamed())), lasting(whole));
  const caller = { type: "direct" };
  assert.deepEqual(whole.content, [
    { type: "thinking", thinking: "Let me see.", signature: "unsigned" },
    { type: "text", text: "I look it up." },
    { type: "tool_use", id: "call_a", name: "weather", input: { city: "Köln" }, caller },
    { type: "tool_use", id: "call_b", name: "time.now", input: {}, caller },
  ]);
  assert.equal(whole.stop_reason, "tool_use");
  assert.equal(whole.usage.output_tokens_details.thinking_tokens, 3);
});

Deno.test("anthropicRoutes() takes back what it gave: thoughts, calls and their results", async () => {
  const answers = new ScriptedAnswers(answering(EVERYTHING, { reason: "tool_calls" }));
  const asking = new Asking(answers);
  const { content } = await asking.whole();
  const results = content.filter(({ type }: Json) => type === "tool_use")
    .map(({ id }: Json) => ({ type: "tool_result", tool_use_id: id, content: "sunny" }));
  const messages = [...QUESTION.messages, { role: "assistant", content }, { role: "user", content: results }];
  await asking.whole({ messages });
  assert.deepEqual(answers.asked[1]?.request.input, {
    kind: "chat",
    messages: [
      { role: "user", content: "Hello" },
      {
        role: "assistant",
        content: "I look it up.",
        reasoning: "Let me see.",
        tool_calls: [
          { id: "call_a", name: "weather", arguments: '{"city":"Köln"}' },
          { id: "call_b", name: "time.now", arguments: "{}" },
        ],
      },
      { role: "tool", content: "sunny", tool_call_id: "call_a", name: "weather" },
      { role: "tool", content: "sunny", tool_call_id: "call_b", name: "time.now" },
    ],
  });
});

for (
  const [name, script, fields, stopped] of [
    ["the model's own end", answering(TEXTS), {}, ["end_turn", null]],
    ["a stop text of the client", answering(TEXTS, { stop: "###" }), { stop_sequences: ["a", "###"] }, [
      "stop_sequence",
      "###",
    ]],
    ["a stop text of the template", answering(TEXTS, { stop: "<end>" }), { stop_sequences: ["###"] }, [
      "end_turn",
      null,
    ]],
    ["a limit of tokens", answering(TEXTS, { reason: "length" }), {}, ["max_tokens", null]],
    ["a call", answering(EVERYTHING, { reason: "tool_calls" }), {}, ["tool_use", null]],
    ["nothing at all", answering([]), {}, ["end_turn", null]],
  ] as const
) {
  Deno.test(`anthropicRoutes() says why an answer ended: ${name}`, async () => {
    const asking = new Asking(new ScriptedAnswers(script));
    const message = await asking.whole(fields);
    assert.deepEqual([message.stop_reason, message.stop_sequence], stopped);
    assert.deepEqual(lasting(replayed(await asking.streamed(fields))), lasting(message));
  });
}

Deno.test("anthropicRoutes() never shows arguments that are no object as if they were one", async () => {
  const call: AnswerPart = { type: "tool_call", index: 0, id: "call_a", name: "f", tokens: 1 };
  for (const text of ['{"city": "K', "[1]", "5", "null", '"a"']) {
    const parts: AnswerPart[] = [call, { type: "tool_arguments", index: 0, text, tokens: 1 }];
    const cut = await new Asking(new ScriptedAnswers(answering(parts, { reason: "length" }))).whole();
    assert.deepEqual([cut.stop_reason, cut.content[0].input], ["max_tokens", {}]);
    const wrong = await new Asking(new ScriptedAnswers(answering(parts, { reason: "tool_calls" }))).ask();
    assert.equal((await failureOf(wrong, 500)).type, "api_error");
    assert.equal(wrong.headers.get("x-should-retry"), "false");
  }
});

Deno.test("anthropicRoutes() ends a stream that broke off with an error, and never with message_stop", async () => {
  const said: InferenceEvent[] = [START, { type: "text", text: "Es", tokens: 1 }];
  for (
    const [thrown, type, status] of [
      [new ArkError("unavailable", "The peer went away"), "overloaded_error", 503],
      [new ArkError("engine_failed", "The engine stopped"), "api_error", 500],
      [new Error("canary"), "api_error", 500],
      [undefined, "overloaded_error", 503],
    ] as const
  ) {
    const asking = new Asking(new ScriptedAnswers(failing(thrown, said)));
    const streamed = await asking.ask({ stream: true });
    const id = streamed.headers.get("request-id");
    const events = (await streamed.text()).split("\n\n").filter(Boolean);
    assert.ok(!events.some((event) => event.includes("message_stop")));
    const [, json] = /^event: error\ndata: (.*)$/.exec(events.at(-1) ?? "") ?? assert.fail();
    const failure = valid(JSON.parse(String(json)), SCHEMAS.FAILURE);
    assert.deepEqual([failure.error.type, failure.request_id], [type, id]);
    assert.ok(!failure.error.message.includes("canary"));
    const whole = await asking.ask();
    assert.equal(whole.headers.get("x-should-retry"), "false");
    assert.equal((await failureOf(whole, status)).type, type);
  }
});

Deno.test("anthropicRoutes() answers a failure before the first event with a status of its own", async () => {
  for (
    const [code, status, type] of [
      ["busy", 429, "rate_limit_error"],
      ["model_not_found", 404, "not_found_error"],
      ["model_not_shared", 403, "permission_error"],
      ["unauthenticated", 401, "authentication_error"],
      ["context_exceeded", 400, "invalid_request_error"],
      ["too_large", 413, "request_too_large"],
      ["audit_unavailable", 503, "api_error"],
      ["internal", 500, "api_error"],
    ] as const
  ) {
    for (const stream of [true, false]) {
      const failure = new ArkError(code, "It did not work", code === "busy" ? { retryAfterSeconds: 2 } : {});
      const response = await new Asking(new ScriptedAnswers(failing(failure))).ask({ stream });
      assert.equal(response.headers.get("retry-after"), code === "busy" ? "2" : null);
      assert.equal((await failureOf(response, status)).type, type);
    }
  }
});

Deno.test("anthropicRoutes() counts the tokens of a prompt without an answer, and says nothing else", async () => {
  const answers = new ScriptedAnswers(answering([]));
  const { model, messages } = QUESTION;
  const tools = [{ name: "f", input_schema: { type: "object" } }];
  const response = await new Asking(answers).send("/v1/messages/count_tokens", {
    body: { model, messages, tools, system: "Be brief" },
  });
  assert.deepEqual(valid(await response.json(), SCHEMAS.TOKEN_COUNT), { input_tokens: 7 });
  const { request } = answers.asked[0] ?? assert.fail();
  assert.ok(request.count_only);
  assert.deepEqual(request.parameters, {});
  assert.ok(request.input.kind === "chat" && request.input.tools?.length === 1);
  assert.equal(request.input.messages.length, 2);
});

Deno.test("anthropicRoutes() says in Anthropic's shape what is not there, and which methods a path has", async () => {
  const asking = new Asking(new ScriptedAnswers(telling("Hi")));
  for (const path of ["/v1/messages/nothing", "/v1/messages/batches", "/v1/messages/count_tokens/more"]) {
    assert.equal((await failureOf(await asking.send(path), 404)).type, "not_found_error");
  }
  for (const path of ["/v1/messages", "/v1/messages/count_tokens"]) {
    const response = await asking.send(path);
    assert.equal(response.headers.get("allow"), "POST");
    await failureOf(response, 405);
  }
  const form = await asking.send("/v1/messages", { method: "POST", headers: { "content-type": "text/plain" } });
  await failureOf(form, 415);
  assert.match((await failureOf(await asking.ask({ max_tokens: undefined }), 400)).message, /max_tokens/);
});

Deno.test("anthropicRoutes() lists models to Anthropic's clients, page by page, and to nobody else", async () => {
  const models = ["a:1", "b/c:2", "d:3"].map((id) => ({ id, context_length: 512 }));
  const asking = new Asking(new ScriptedAnswers(telling(), [...models, { id: "a:1", owner: "other" }]));
  const list = async (query: string) =>
    valid(await (await asking.send(`/v1/models${query}`)).json(), SCHEMAS.MODEL_PAGE);
  const all = await list("");
  assert.deepEqual([all.data.map(({ id }: Json) => id), all.has_more], [["a:1", "b/c:2", "d:3"], false]);
  const first = await list("?limit=2");
  assert.deepEqual([first.first_id, first.last_id, first.has_more], ["a:1", "b/c:2", true]);
  const second = await list(`?limit=2&after_id=${first.last_id}`);
  assert.deepEqual([second.data.map(({ id }: Json) => id), second.has_more], [["d:3"], false]);
  const before = await list("?limit=1&before_id=d:3");
  assert.deepEqual([before.data.map(({ id }: Json) => id), before.has_more], [["b/c:2"], true]);
  for (const query of ["?limit=0", "?after_id=x"]) await failureOf(await asking.send(`/v1/models${query}`), 400);
  for (const id of ["b/c:2", "b%2Fc%3A2"]) {
    const one = valid(await (await asking.send(`/v1/models/${id}`)).json(), SCHEMAS.MODEL_INFO);
    assert.deepEqual([one.id, one.max_input_tokens], ["b/c:2", 512]);
  }
  assert.equal((await failureOf(await asking.send("/v1/models/none"), 404)).type, "not_found_error");
});
