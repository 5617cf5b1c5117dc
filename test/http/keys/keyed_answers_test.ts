import assert from "node:assert/strict";
import { ApiKeyBook, type ApiKeyTerms } from "@ark/node/http";
import { openStore } from "@ark/node/store";
import { keyedAnswers } from "../../../src/http/keys/keyed_answers.ts";
import { DirectAnswers, KeptParts } from "../api/direct_answers.ts";
import { ask, chat, eventsOf, MODEL, ScriptedAnswers, telling } from "../api/scripted_answers.ts";

/** Asks over a script, with a key of these terms. */
async function withKey(terms: Partial<ApiKeyTerms>, { localOnly = false } = {}) {
  await using store = await openStore(":memory:");
  await using keys = await ApiKeyBook.open({ store });
  const held = keys.find((await keys.create({ name: "key", ...terms })).text);
  const models = [{ id: MODEL, owner: "me", local: true }, { id: "llama:8b", owner: "B", local: false }];
  const script = new ScriptedAnswers(telling("a", "b", "c", "d"), models);
  const admit = () => keyedAnswers(script, { held, localOnly });
  const response = await ask(script, { body: chat({ stream: true }), options: { admit } });
  const events = await eventsOf(response);
  const listed = await (await ask(script, { path: "/v1/models", options: { admit } })).json();
  return { events, script, held, ids: listed.data.map(({ id }: { id: string }) => id) };
}

Deno.test("keyedAnswers() ends an answer with length where the tokens of the day run out, and stops the engine", async () => {
  // The script's prompt has seven tokens, each text one.
  const { events, script, held } = await withKey({ max_tokens_per_day: 8 });
  const chunks = events.slice(0, -1).map((event) => JSON.parse(event).choices[0]);
  assert.equal(chunks.map(({ delta }) => delta.content ?? "").join(""), "ab");
  assert.equal(chunks.at(-1)?.finish_reason, "length");
  assert.equal(events.at(-1), "[DONE]");
  await script.left;
  assert.equal(held.meter.day.tokens, 9);
  assert.equal(script.asked[0]?.request.parameters.max_tokens, 8);
});

for (const [limit, told, finish] of [[9, "abc", "length"], [10, "abcd", "length"], [20, "abcde", "stop"]] as const) {
  Deno.test(`keyedAnswers() pays for what takes the short way, and ends it where ${limit} tokens of the day run out`, async () => {
    await using store = await openStore(":memory:");
    await using keys = await ApiKeyBook.open({ store });
    const held = keys.find((await keys.create({ name: "key", max_tokens_per_day: limit })).text);
    const answers = new DirectAnswers("a", "b", "c", "d", "e");
    const direct = new KeptParts();
    const signal = new AbortController().signal;
    const request = { model: MODEL, input: { kind: "completion" as const, prompt: "x" }, parameters: {} };
    const options = { priority: "owner", principal: "owner", signal, direct } as const;
    let end: string | null = null;
    for await (const event of keyedAnswers(answers, { held, localOnly: false }).infer(request, options)) {
      if (event.type === "start") direct.open = true;
      else end = event.type === "end" ? event.finish_reason : assert.fail("A part did not take the short way");
    }
    assert.deepEqual([direct.texts.join(""), end], [told, finish]);
    // Seven tokens of the prompt; the one that is too many was written, and is paid for.
    assert.equal(held.meter.day.tokens, 7 + told.length);
    assert.equal(answers.cancelled, finish === "length" ? 1 : 0);
  });
}

Deno.test("keyedAnswers() shows the models of the key, and of this machine only where it may go no further", async () => {
  assert.deepEqual((await withKey({})).ids, [MODEL, "llama:8b"]);
  assert.deepEqual((await withKey({ models: ["llama*"] })).ids, ["llama:8b"]);
  assert.deepEqual((await withKey({}, { localOnly: true })).ids, [MODEL]);
  assert.deepEqual((await withKey({ models: ["llama*"] }, { localOnly: true })).ids, []);
});

Deno.test("keyedAnswers() changes nothing for a sender without a key who may go anywhere", () => {
  const script = new ScriptedAnswers(telling("a"));
  assert.equal(keyedAnswers(script, { held: null, localOnly: false }), script);
});
