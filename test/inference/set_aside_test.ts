/** Peers' answers of every kind make room for the owner's request, and go on afterwards from their tokens. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { decodeTokenIds, type InferenceEvent, type InferenceRequest, type JsonSchema } from "@ark/node/protocol";
import { FakeBackend, realBackend, until } from "./local_fixture.ts";

const OWNER = { priority: "owner", principal: "owner", signal: new AbortController().signal } as const;
const PEER = { priority: "peer", principal: "dave", signal: new AbortController().signal } as const;
const SCHEMA: JsonSchema = {
  type: "object",
  properties: {
    days: { type: "array", items: { type: "integer", minimum: 0, maximum: 31 }, minItems: 20, maxItems: 24 },
  },
  required: ["days"],
  additionalProperties: false,
};
const validate = new Ajv2020().compile(SCHEMA);
const messages = [{ role: "user" as const, content: "Which days?" }];
const tools = [{ name: "days", parameters: SCHEMA }];

function owners(model: string): InferenceRequest {
  return { model, input: { kind: "completion", prompt: "One" }, parameters: { max_tokens: 2 } };
}

for (const engine of ["native", "addon"] as const) {
  Deno.test(`A peer's document and call of a function are set aside in their midst, and go on: ${engine} engine`, async () => {
    await using backend = await realBackend({ slots: 1, engine });
    const shapes: Pick<InferenceRequest, "input" | "parameters">[] = [
      { input: { kind: "chat", messages }, parameters: { format: { kind: "json_schema", schema: SCHEMA } } },
      { input: { kind: "chat", messages, tools, tool_choice: { name: "days" } }, parameters: {} },
    ];
    for (const { input, parameters } of shapes) {
      const events: InferenceEvent[] = [];
      let asides = 0;
      const request = { model: "arkling", input, parameters: { ...parameters, temperature: 0, max_tokens: 300 } };
      for await (const event of backend.infer(request, PEER)) {
        events.push(event);
        const tokens = events.reduce((sum, each) => sum + ("tokens" in each ? each.tokens : 0), 0);
        if (tokens < 8 * (asides + 1) || asides === 3 || event.type === "end") continue;
        asides++;
        for await (const each of backend.infer(owners("arkling"), OWNER)) void each;
      }
      assert.equal(asides, 3);
      assert.equal(events.filter(({ type }) => type === "start").length, 1);
      assert.ok(events.every((event) => !("ids" in event) && !("prompt_ids" in event)), "Nobody asked for ids");
      assert.ok(events.filter(({ type }) => type === "tool_call").length <= 1);
      const text = events.map((event) => "text" in event ? event.text : "").join("");
      assert.ok(validate(JSON.parse(text)), text);
      const end = events.at(-1);
      assert.ok(end?.type === "end");
      assert.equal(end.finish_reason, "tools" in input ? "tool_calls" : "stop");
    }
  });
}

Deno.test("Thoughts, calls and documents of peers go on where they were set aside, each part once", async () => {
  await using fake = new FakeBackend();
  const { backend } = fake;
  const chat = (parts: Partial<InferenceRequest>): InferenceRequest => ({
    model: "fake",
    input: { kind: "chat", messages: [{ role: "user", content: "#slow=20 #call=days" }], tools },
    parameters: { max_tokens: 100 },
    ...parts,
  });
  const requests = [
    chat({}),
    chat({ input: { kind: "chat", messages: [{ role: "user", content: "#slow=20 #think" }] } }),
    chat({
      input: { kind: "chat", messages: [{ role: "user", content: "#slow=20" }] },
      parameters: { format: { kind: "json_schema", schema: SCHEMA } },
    }),
  ];
  const strip = (events: readonly InferenceEvent[]) =>
    events.flatMap((event) => event.type === "end" ? [] : [JSON.stringify(event)]).join("\n");
  for (const request of requests) {
    const alone: InferenceEvent[] = [];
    for await (const event of backend.infer(request, PEER)) alone.push(event);
    const events: InferenceEvent[] = [];
    for await (const event of backend.infer(request, PEER)) {
      events.push(event);
      if (events.length !== 3) continue;
      for await (const each of backend.infer(owners("fake"), OWNER)) void each;
    }
    const written = (all: readonly InferenceEvent[]) => all.map((event) => "text" in event ? event.text : "").join("");
    assert.equal(written(events), written(alone));
    assert.equal(
      events.filter(({ type }) => type === "tool_call").length,
      strip(alone).split('"tool_call"').length - 1,
    );
    const [end, wanted] = [events.at(-1), alone.at(-1)];
    assert.ok(end?.type === "end" && wanted?.type === "end");
    assert.equal(end.finish_reason, wanted.finish_reason);
    assert.equal(end.usage.completion_tokens, wanted.usage.completion_tokens);
  }
  // On a busy machine one may be over before the owner's request is there.
  assert.ok(fake.log("generate").some(({ resume }) => resume !== undefined));
});

Deno.test("LocalBackend tells the tokens of prompt and answer where that is wanted, and goes on from them", async () => {
  await using fake = new FakeBackend();
  const { backend } = fake;
  const request: InferenceRequest = {
    model: "fake",
    input: { kind: "completion", prompt: "a b c #slow=2" },
    parameters: { max_tokens: 30 },
    ids: true,
  };
  const collect = async (each: InferenceRequest, options: typeof OWNER | typeof PEER) => {
    const events: InferenceEvent[] = [];
    for await (const event of backend.infer(each, options)) events.push(event);
    const [start, end] = [events[0], events.at(-1)];
    assert.ok(start?.type === "start" && end?.type === "end");
    const ids = events.flatMap((event) => "ids" in event ? event.ids ?? [] : []);
    return {
      prompt: start.prompt_ids ?? "",
      ids,
      text: events.map((event) => "text" in event ? event.text : "").join(""),
      end,
    };
  };
  for (const options of [OWNER, PEER]) {
    const whole = await collect(request, options);
    assert.deepEqual(decodeTokenIds(whole.prompt), [1, 2, 3, 4]);
    assert.deepEqual(whole.ids, Array.from({ length: 30 }, (_, index) => 1_000 + index));
    const written = new Uint8Array(Uint32Array.from(whole.ids.slice(0, 12)).buffer).toBase64();
    const resume = { prompt: whole.prompt, written };
    const rest = await collect({ ...request, parameters: { max_tokens: 18 }, resume }, options);
    assert.equal(rest.prompt, whole.prompt);
    assert.deepEqual(rest.ids, whole.ids.slice(12));
    assert.ok(whole.text.endsWith(rest.text) && rest.text.startsWith(" w12"), rest.text);
    assert.deepEqual([rest.end.usage.prompt_tokens, rest.end.usage.completion_tokens], [4, 18]);
  }
  // A peer's that was begun elsewhere is set aside here, too.
  const resume = { prompt: "CQAAAA==", written: new Uint8Array(Uint32Array.of(1_000, 1_001).buffer).toBase64() };
  let tokens = 0;
  const peer = (async () => {
    const parts: string[] = [];
    for await (const event of backend.infer({ ...request, parameters: { max_tokens: 400 }, resume }, PEER)) {
      if (event.type !== "text") continue;
      tokens += event.tokens;
      parts.push(event.text);
    }
    return parts.join("");
  })();
  await until(() => tokens >= 4);
  for await (const event of backend.infer(owners("fake"), OWNER)) void event;
  assert.equal(await peer, Array.from({ length: 400 }, (_, index) => ` w${index + 2}`).join(""));
  const last = fake.log("generate").at(-1)?.resume as { prompt: string; written: string };
  assert.equal(last.prompt, resume.prompt);
  assert.ok(decodeTokenIds(last.written).length >= 6);
});
