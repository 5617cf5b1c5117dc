import assert from "node:assert/strict";
import { ApiKeyBook, type ApiKeyTerms } from "@ark/node/http";
import { openStore } from "@ark/node/store";
import { keyedAnswers } from "../../../src/http/keys/keyed_answers.ts";
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
