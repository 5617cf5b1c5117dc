import assert from "node:assert/strict";
import type { ChatInput } from "@ark/node/protocol";
import { openStore } from "@ark/node/store";
import { ApiKeyBook } from "../../../src/http/keys/api_key_book.ts";
import { keyedAnswers } from "../../../src/http/keys/keyed_answers.ts";
import { senderOf } from "../../../src/http/keys/sender.ts";
import { answering, EVERYTHING, TEXTS } from "../api/answer_scripts.ts";
import { type Script, ScriptedAnswers } from "../api/scripted_answers.ts";
import { valid } from "../api/validate.ts";
import { Asking, failureOf, type Json, replayed } from "./asking.ts";
import { DELETED, INPUT_ITEMS, RESPONSE } from "./schemas.ts";

const TOOL = { type: "function", name: "weather" };

const ORDER = {
  name: "one",
  models: ["*"],
  max_requests_per_minute: null,
  max_tokens_per_day: null,
  max_concurrent_requests: null,
  local_only: false,
  expires_at: null,
};

/** Calls two functions at first, and answers with a text when it was told what they gave. */
const AGENT: Script = (scene) => {
  const { messages } = scene.request.input as ChatInput;
  const told = messages.at(-1)?.role === "tool";
  return told ? answering(TEXTS)(scene) : answering(EVERYTHING, { reason: "tool_calls" })(scene);
};

function messagesOf({ asked }: ScriptedAnswers, index: number): ChatInput["messages"] {
  return (asked[index]?.request.input as ChatInput).messages;
}

Deno.test("A request that names the previous response goes on from it, streamed or whole", async () => {
  for (const stream of [false, true]) {
    const answers = new ScriptedAnswers(AGENT);
    const asking = new Asking(answers);
    const body = { instructions: "Be brief", tools: [TOOL] };
    const first: Json = stream ? replayed(await asking.streamed(body)).response : await asking.whole(body);
    const outputs = first.output.filter(({ type }: Json) => type === "function_call").map(({ call_id }: Json) => {
      return { type: "function_call_output", call_id, output: `of ${call_id}` };
    });
    const second = await asking.whole({ previous_response_id: first.id, input: outputs, instructions: "Be long" });
    assert.equal(second.previous_response_id, first.id);
    const begun: ChatInput["messages"] = [
      { role: "user", content: "Hello" },
      {
        role: "assistant",
        content: "I look it up.",
        reasoning: "Let me see.",
        tool_calls: [
          { id: "call_a", name: "weather", arguments: '{"city": "Köln"}' },
          { id: "call_b", name: "time.now", arguments: "{}" },
        ],
      },
      { role: "tool", content: "of call_a", tool_call_id: "call_a", name: "weather" },
      { role: "tool", content: "of call_b", tool_call_id: "call_b", name: "time.now" },
    ];
    assert.deepEqual(messagesOf(answers, 0), [{ role: "system", content: "Be brief" }, begun[0]]);
    assert.deepEqual(messagesOf(answers, 1), [{ role: "system", content: "Be long" }, ...begun]);
    await asking.whole({ previous_response_id: second.id, input: "And then?" });
    assert.deepEqual(messagesOf(answers, 2).slice(0, 4), begun);
    assert.deepEqual(messagesOf(answers, 2).slice(4).map(({ role }) => role), ["assistant", "user"]);
    // The same conversation can go on in two ways.
    await asking.whole({ previous_response_id: first.id, input: outputs });
    assert.deepEqual(messagesOf(answers, 3), begun);
  }
});

Deno.test("What a program sends back itself reads as what the node kept", async () => {
  const answers = new ScriptedAnswers(AGENT);
  const asking = new Asking(answers);
  const { output, id } = await asking.whole();
  const told = [{ type: "function_call_output", call_id: "call_a", output: "sunny" }];
  await asking.whole({ previous_response_id: id, input: told });
  await asking.whole({ input: [{ role: "user", content: "Hello" }, ...output, ...told] });
  assert.deepEqual(messagesOf(answers, 2), messagesOf(answers, 1));
});

Deno.test("An item that is kept can be named instead of being sent again, and by its sender alone", async () => {
  const answers = new ScriptedAnswers(AGENT);
  const asking = new Asking(answers);
  const { output, id } = await asking.whole();
  const told = [{ type: "function_call_output", call_id: "call_a", output: "sunny" }];
  await asking.whole({ previous_response_id: id, input: told });
  const references = output.map(({ id }: Json, index: number) => index === 0 ? { id } : { type: "item_reference", id });
  const list = await (await asking.send(`/v1/responses/${id}/input_items`)).json();
  await asking.whole({ input: [{ id: list.data[0].id }, ...references, ...told] });
  assert.deepEqual(messagesOf(answers, 2), messagesOf(answers, 1));
  await asking.send(`/v1/responses/${id}`, { method: "DELETE" });
  assert.equal((await failureOf(await asking.ask({ input: references }), 400)).param, "input[0].id");
});

Deno.test("A kept response is shown, listed and forgotten, and its id is then as unknown as any other", async () => {
  const asking = new Asking(new ScriptedAnswers(answering(TEXTS)));
  const input = [
    { role: "user", content: [{ type: "input_text", text: "one" }] },
    { type: "function_call", call_id: "call_a", name: "f", arguments: "{}" },
    { type: "function_call_output", call_id: "call_a", output: "two" },
    { role: "user", content: "three" },
  ];
  const made = await asking.whole({ input });
  const at = `/v1/responses/${made.id}`;
  assert.deepEqual(valid(await (await asking.send(at)).json(), RESPONSE), made);
  const list = async (query: string) =>
    valid(await (await asking.send(`${at}/input_items${query}`)).json(), INPUT_ITEMS);
  const all = await list("?order=asc");
  assert.deepEqual(all.data.map(({ type }: Json) => type), [
    "message",
    "function_call",
    "function_call_output",
    "message",
  ]);
  assert.ok(!all.has_more);
  assert.deepEqual((await list("")).data, all.data.toReversed());
  const page = await list(`?limit=2&after=${all.data[3].id}`);
  assert.deepEqual([page.data, page.has_more], [[all.data[2], all.data[1]], true]);
  assert.deepEqual([page.first_id, page.last_id], [all.data[2].id, all.data[1].id]);
  for (const query of ["?limit=0", "?limit=101", "?order=up", "?after=msg_1"]) {
    await failureOf(await asking.send(`${at}/input_items${query}`), 400);
  }
  await failureOf(await asking.send(`${at}?stream=true`), 400);
  await failureOf(await asking.send(`${at}/cancel`, { method: "POST" }), 400);

  const deleted = await asking.send(at, { method: "DELETE" });
  assert.deepEqual(valid(await deleted.json(), DELETED), { id: made.id, object: "response", deleted: true });
  for (
    const [path, method] of [[at, "GET"], [at, "DELETE"], [`${at}/input_items`, "GET"], [
      `${at}/cancel`,
      "POST",
    ]] as const
  ) {
    assert.equal((await failureOf(await asking.send(path, { method }), 404)).code, "response_not_found");
  }
  const next = await asking.ask({ previous_response_id: made.id });
  assert.deepEqual((await failureOf(next, 400)).code, "previous_response_not_found");
});

Deno.test("What is not to be stored is not kept", async () => {
  for (const stream of [false, true]) {
    const asking = new Asking(new ScriptedAnswers(answering(TEXTS)));
    const response = await asking.ask({ store: false, stream });
    await response.text();
    assert.equal(asking.shelf.bytes, 0);
  }
});

Deno.test("One key never goes on from another's response, nor reads or deletes it", async () => {
  await using store = await openStore(":memory:");
  await using keys = await ApiKeyBook.open({ store });
  const one = (await keys.create(ORDER)).text;
  const two = (await keys.create({ ...ORDER, name: "two" })).text;
  const asking = new Asking(new ScriptedAnswers(answering(TEXTS)), {
    admit: (request, { remote, answers }) =>
      keyedAnswers(answers, senderOf(request, { keys, required: false, token: "", remote })),
  });
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  const { id, output: [item] } = await asking.whole({}, bearer(one));
  for (const headers of [bearer(two), { "x-api-key": two }, bearer("sk-any"), {}]) {
    await failureOf(await asking.ask({ previous_response_id: id }, headers), 400);
    await failureOf(await asking.ask({ input: [{ type: "item_reference", id: item.id }] }, headers), 400);
    await failureOf(await asking.send(`/v1/responses/${id}`, { headers }), 404);
    await failureOf(await asking.send(`/v1/responses/${id}/input_items`, { headers }), 404);
    await failureOf(await asking.send(`/v1/responses/${id}`, { method: "DELETE", headers }), 404);
  }
  assert.equal((await asking.whole({ previous_response_id: id }, { "x-api-key": one })).previous_response_id, id);
  const owner = await asking.whole();
  await failureOf(await asking.ask({ previous_response_id: owner.id }, bearer(one)), 400);
  await asking.whole({ previous_response_id: owner.id }, bearer("sk-other"));
});

Deno.test("A conversation that had to stay on this machine stays there to its end", async () => {
  const answers = new ScriptedAnswers(answering(TEXTS));
  await using store = await openStore(":memory:");
  await using keys = await ApiKeyBook.open({ store });
  const asking = new Asking(answers, {
    admit: (request, { remote, answers }) =>
      keyedAnswers(answers, senderOf(request, { keys, required: false, token: "", remote })),
  });
  const first = await asking.whole({}, { "x-ark-local-only": "1" });
  const second = await asking.whole({ previous_response_id: first.id });
  await asking.whole({ previous_response_id: second.id });
  await asking.whole({ input: [{ type: "item_reference", id: second.output[0].id }] });
  await asking.whole();
  const { text: key } = await keys.create(ORDER);
  const kept = await asking.whole({}, { "x-api-key": key, "x-ark-local-only": "1" });
  await asking.whole({ previous_response_id: kept.id }, { "x-api-key": key });
  const options = answers.asked.map(({ options }) => (options as { localOnly?: boolean }).localOnly ?? false);
  assert.deepEqual(options, [true, true, true, true, false, true, true]);
});
