import assert from "node:assert/strict";
import { withDefaults } from "@ark/node/models";
import type { InferenceInput, InferenceRequest } from "@ark/node/protocol";
import { FakeBackend, fakeModel } from "../inference/local_fixture.ts";

const MODEL = { defaults: { temperature: 0.1, stop: ["<end>"], max_tokens: 3 }, system: "Be brief." };

function request(input: InferenceInput, parameters: InferenceRequest["parameters"] = {}): InferenceRequest {
  return { model: "m", input, parameters };
}

Deno.test("withDefaults() gives what a request leaves out, and nothing that it says itself", () => {
  const asked = request({ kind: "completion", prompt: "Hi" }, { temperature: 1, stop: [] });
  const copy = structuredClone(asked);
  assert.deepEqual(withDefaults(asked, MODEL).parameters, { temperature: 1, stop: [], max_tokens: 3 });
  assert.deepEqual(asked, copy, "The request stays as it is");
  assert.deepEqual(withDefaults(asked, { defaults: {}, system: null }), asked);
});

Deno.test("withDefaults() puts the system message before a chat that has none", () => {
  const user = { role: "user" as const, content: "Hi" };
  const own = { role: "system" as const, content: "Be long." };
  const messages = (...given: (typeof user | typeof own)[]) => {
    const { input } = withDefaults(request({ kind: "chat", messages: given }), MODEL);
    return input.kind === "chat" ? input.messages : assert.fail();
  };
  assert.deepEqual(messages(user), [{ role: "system", content: "Be brief." }, user]);
  assert.deepEqual(messages(own, user), [own, user]);
  assert.deepEqual(messages(user, own), [user, own]);
});

Deno.test("withDefaults() leaves requests alone that write nothing", () => {
  for (const input of [{ kind: "embed", texts: ["a"] }, { kind: "rerank", query: "a", documents: ["b"] }] as const) {
    const asked = request(structuredClone(input) as unknown as InferenceInput);
    assert.equal(withDefaults(asked, MODEL), asked);
  }
});

Deno.test("LocalBackend asks a model as its store says", async () => {
  await using fake = new FakeBackend({ catalogue: { find: (ref) => ({ ...fakeModel(ref), ...MODEL }) } });
  const signal = new AbortController().signal;
  const ask = async (parameters: InferenceRequest["parameters"]) => {
    const input: InferenceInput = {
      kind: "chat",
      messages: [{ role: "user", content: "one two three four five six" }],
    };
    const asked = { model: "m", input, parameters };
    let last;
    for await (const event of fake.backend.infer(asked, { priority: "owner", principal: "owner", signal })) {
      last = event;
    }
    return last?.type === "end" ? [last.finish_reason, last.usage.completion_tokens] : assert.fail();
  };
  assert.deepEqual(await ask({}), ["length", 3]);
  assert.deepEqual(await ask({ max_tokens: 2 }), ["length", 2]);
});
