import assert from "node:assert/strict";
import { type AnswerPart, ArkError, type InferenceEvent } from "@ark/node/protocol";
import { answering, chanceOf, EVERYTHING, TEXT, TEXTS } from "../api/answer_scripts.ts";
import { END, failing, MODEL, ScriptedAnswers, START } from "../api/scripted_answers.ts";
import { isClosed } from "../api/validate.ts";
import { Asking, eventsOf, failureOf, type Json, replayed } from "./asking.ts";
import * as SCHEMAS from "./schemas.ts";

/** A response without what is new in each. */
function lasting({ id, created_at, completed_at: _, output, ...rest }: Json): Json {
  assert.ok(Number.isInteger(created_at));
  return {
    ...rest,
    output: output.map((item: Json) => ({ ...item, id: item.id.replace(id.slice("resp_".length), "") })),
  };
}

function typesOf(events: readonly Json[]): string[] {
  return events.map(({ type }) => type.replace("response.", ""));
}

Deno.test("The schemas of the Responses API refuse every property that they do not know", () => {
  assert.ok(isClosed(SCHEMAS));
});

Deno.test("responsesRoutes() streams a text in OpenAI's order, and gives the same text in one piece", async () => {
  const asking = new Asking(new ScriptedAnswers(answering(TEXTS)));
  const whole = await asking.whole();
  const events = await asking.streamed();
  const deltas = TEXTS.filter((part) => "text" in part && part.text !== "").map(() => "output_text.delta");
  assert.deepEqual(typesOf(events), [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    ...deltas,
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "completed",
  ]);
  const { response } = replayed(events);
  assert.equal(response.output[0].content[0].text, TEXT);
  assert.deepEqual(lasting(response), lasting(whole));
  assert.equal(whole.model, MODEL);
  assert.deepEqual(whole.usage, {
    input_tokens: 7,
    input_tokens_details: { cached_tokens: 5, cache_write_tokens: 0 },
    output_tokens: 7,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 14,
  });
});

Deno.test("responsesRoutes() gives thoughts, text and calls as items, streamed as whole", async () => {
  const asking = new Asking(new ScriptedAnswers(answering(EVERYTHING, { reason: "tool_calls" })));
  const whole = await asking.whole();
  const { response } = replayed(await asking.streamed());
  assert.deepEqual(lasting(response), lasting(whole));
  assert.deepEqual(
    whole.output.map(({ id: _, ...item }: Json) => item),
    [
      {
        type: "reasoning",
        status: "completed",
        summary: [],
        content: [{ type: "reasoning_text", text: "Let me see." }],
      },
      {
        type: "message",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "I look it up.", annotations: [], logprobs: [] }],
      },
      { type: "function_call", status: "completed", call_id: "call_a", name: "weather", arguments: '{"city": "Köln"}' },
      { type: "function_call", status: "completed", call_id: "call_b", name: "time.now", arguments: "{}" },
    ],
  );
  assert.equal(whole.usage.output_tokens_details.reasoning_tokens, 3);
});

Deno.test("responsesRoutes() tells thoughts as their own summary where a client asks for one", async () => {
  const asking = new Asking(new ScriptedAnswers(answering(EVERYTHING, { reason: "tool_calls" })));
  const body = { reasoning: { summary: "auto" } };
  const whole = await asking.whole(body);
  const events = await asking.streamed(body);
  assert.deepEqual(lasting(replayed(events).response), lasting(whole));
  assert.deepEqual([whole.output[0].summary, whole.output[0].content], [
    [{ type: "summary_text", text: "Let me see." }],
    [],
  ]);
  assert.deepEqual(typesOf(events).slice(2, 9), [
    "output_item.added",
    "reasoning_summary_part.added",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "reasoning_summary_part.done",
    "output_item.done",
  ]);
});

Deno.test("responsesRoutes() ends an answer that was cut with response.incomplete, and only its last item", async () => {
  const asking = new Asking(new ScriptedAnswers(answering(EVERYTHING, { reason: "length" })));
  const events = await asking.streamed();
  const { type, response } = replayed(events);
  assert.equal(type, "response.incomplete");
  assert.deepEqual(response.output.map(({ status }: Json) => status), [
    "completed",
    "completed",
    "completed",
    "incomplete",
  ]);
  assert.deepEqual(lasting(await asking.whole()), lasting(response));
});

Deno.test("responsesRoutes() gives an answer without a word one empty text", async () => {
  for (const reason of ["stop", "length"] as const) {
    const asking = new Asking(new ScriptedAnswers(answering([], { reason })));
    const { response } = replayed(await asking.streamed());
    assert.deepEqual(response.output.map(({ content }: Json) => content[0].text), [""]);
    assert.deepEqual(lasting(await asking.whole()), lasting(response));
  }
});

Deno.test("responsesRoutes() tells probabilities where they were asked", async () => {
  const parts = ["He", "y"].map((text): AnswerPart => ({ type: "text", text, tokens: 1, logprobs: [chanceOf(text)] }));
  const answers = new ScriptedAnswers(answering(parts));
  const asking = new Asking(answers);
  const body = { include: ["message.output_text.logprobs"], top_logprobs: 2 };
  const events = await asking.streamed(body);
  const told = events.filter(({ type }) => type === "response.output_text.delta").flatMap(({ logprobs }) => logprobs);
  assert.deepEqual(told.map(({ token }) => token), ["He", "y"]);
  assert.deepEqual(told[0].top_logprobs.map(({ token }: Json) => token), ["He", "x"]);
  const { response } = replayed(events);
  assert.deepEqual(response.output[0].content[0].logprobs, told);
  assert.equal(response.top_logprobs, 2);
  assert.equal(answers.asked[0]?.request.parameters.logprobs, 2);
  await asking.whole({ top_logprobs: 2 });
  assert.equal(answers.asked[1]?.request.parameters.logprobs, undefined);
});

Deno.test("responsesRoutes() says again what its request said", async () => {
  const schema = { type: "object", properties: { a: { type: "integer" } }, additionalProperties: false };
  const tool = { type: "function", name: "f", parameters: schema, strict: true };
  const answer = await new Asking(new ScriptedAnswers(answering(TEXTS))).whole({
    instructions: "Be brief",
    max_output_tokens: 99,
    metadata: { a: "b" },
    parallel_tool_calls: false,
    reasoning: { effort: "high" },
    store: false,
    temperature: 0,
    text: { format: { type: "json_schema", name: "s", schema }, verbosity: "low" },
    tool_choice: { type: "function", name: "f" },
    tools: [tool],
    top_p: 0.5,
    truncation: "auto",
  });
  assert.deepEqual(answer.tools, [{ ...tool, description: null }]);
  const { instructions, max_output_tokens, metadata, parallel_tool_calls, reasoning, store, temperature } = answer;
  assert.deepEqual({ instructions, max_output_tokens, metadata, parallel_tool_calls, reasoning, store, temperature }, {
    instructions: "Be brief",
    max_output_tokens: 99,
    metadata: { a: "b" },
    parallel_tool_calls: false,
    reasoning: { effort: "high", summary: null },
    store: false,
    temperature: 0,
  });
  assert.deepEqual([answer.tool_choice, answer.top_p, answer.truncation], [
    { type: "function", name: "f" },
    0.5,
    "disabled",
  ]);
  assert.deepEqual(answer.text, {
    format: { type: "json_schema", name: "s", description: null, schema, strict: true },
    verbosity: "low",
  });
});

Deno.test("responsesRoutes() ends a stream that broke off with response.failed, which has what there is", async () => {
  const said: InferenceEvent[] = [START, { type: "text", text: "Es", tokens: 1 }, {
    type: "text",
    text: " war",
    tokens: 1,
  }];
  for (
    const [thrown, code] of [
      [new ArkError("unavailable", "The peer went away"), "server_error"],
      [new ArkError("busy", "The line is full"), "rate_limit_exceeded"],
      [new ArkError("context_exceeded", "It does not fit"), "invalid_prompt"],
      [new Error("canary"), "server_error"],
      [undefined, "server_error"],
    ] as const
  ) {
    const asking = new Asking(new ScriptedAnswers(failing(thrown, said)));
    const { type, response } = replayed(await asking.streamed());
    assert.deepEqual([type, response.error.code, response.status], ["response.failed", code, "failed"]);
    assert.ok(!response.error.message.includes("canary"));
    assert.deepEqual(response.output.map(({ status, content }: Json) => [status, content[0].text]), [
      ["incomplete", "Es war"],
    ]);
    const failure = await asking.ask();
    assert.equal(failure.headers.get("x-should-retry"), "false");
    assert.ok(failure.status >= 400);
    await failureOf(failure, failure.status);
    assert.equal(asking.shelf.bytes, 0);
  }
});

Deno.test("responsesRoutes() fails where an engine's parts make no sense, and never ends as if all were well", async () => {
  const call = { type: "tool_call", index: 0, id: "call_a", name: "f", tokens: 1 } as const;
  const wrong: readonly (readonly InferenceEvent[])[] = [
    [START, { ...call, index: 1 }],
    [START, { type: "tool_arguments", index: 0, text: "{}", tokens: 1 }],
    [START, call, { ...call, index: 1 }, { type: "tool_arguments", index: 0, text: "{}", tokens: 1 }],
    [START, call, { type: "text", text: "x", tokens: 1 }, { type: "tool_arguments", index: 0, text: "{}", tokens: 1 }],
    [START, { type: "vector", index: 0, values: "" }],
    [START, START],
    [END],
  ];
  for (const events of wrong) {
    // All of them end as if all were well; a missing end is tested above.
    const asking = new Asking(new ScriptedAnswers(failing(undefined, [...events, END])));
    assert.equal(replayed(await asking.streamed()).type, "response.failed");
    await failureOf(await asking.ask(), (await asking.ask()).status);
  }
});

Deno.test("responsesRoutes() answers a failure before the first event with a status of its own", async () => {
  for (const stream of [true, false]) {
    const busy = new ArkError("busy", "The line is full", { retryAfterSeconds: 2 });
    const answers = new ScriptedAnswers(failing(busy));
    const response = await new Asking(answers).ask({ stream });
    assert.equal(response.headers.get("retry-after"), "2");
    assert.equal((await failureOf(response, 429)).code, "rate_limit_exceeded");
  }
});

Deno.test("responsesRoutes() counts the tokens of a prompt without an answer", async () => {
  const answers = new ScriptedAnswers(answering([]));
  const response = await new Asking(answers).send("/v1/responses/input_tokens", {
    body: { model: MODEL, input: "Hi" },
  });
  assert.deepEqual(await response.json(), { object: "response.input_tokens", input_tokens: 7 });
  assert.ok(answers.asked[0]?.request.count_only);
});

Deno.test("responsesRoutes() says which methods a path has", async () => {
  const asking = new Asking(new ScriptedAnswers(answering([])));
  for (
    const [method, path, allow] of [
      ["GET", "/v1/responses", "POST"],
      ["POST", "/v1/responses/resp_1", "GET, HEAD, DELETE"],
      ["DELETE", "/v1/responses/resp_1/input_items", "GET, HEAD"],
    ] as const
  ) {
    const response = await asking.send(path, { method });
    assert.equal(response.headers.get("allow"), allow);
    await failureOf(response, 405);
  }
});

Deno.test("A stream of the Responses API is one of events and nothing else", async () => {
  const response = await new Asking(new ScriptedAnswers(answering(TEXTS))).ask({ stream: true });
  assert.equal(response.headers.get("cache-control"), "no-store");
  const events = await eventsOf(response);
  assert.ok(events.length > 8);
});
