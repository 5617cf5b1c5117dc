import assert from "node:assert/strict";
import { decodeTokenIds, type InferenceRequest } from "@ark/node/protocol";
import { FakeBackend, realBackend, until } from "./local_fixture.ts";

function request(prompt: string, tokens: number): InferenceRequest {
  return { model: "fake", input: { kind: "completion", prompt }, parameters: { max_tokens: tokens } };
}

Deno.test("T39: Among ten greedy peers the owner's request is served next, each time, and also where the line is full", async () => {
  await using fake = new FakeBackend({ maxQueued: 24 });
  const { backend } = fake;
  const enough = new AbortController();
  const { signal } = enough;
  let refused = 0;
  const greedy = Array.from({ length: 10 }, async (_, peer) => {
    // Three at a time each, and at once again: always more than there is place for.
    await Promise.all(Array.from({ length: 3 }, async () => {
      while (!signal.aborted) {
        try {
          const options = { priority: "peer", principal: `peer ${peer}`, signal } as const;
          for await (const event of backend.infer(request(`peer ${peer} #slow=1`, 20), options)) void event;
        } catch {
          if (!signal.aborted) refused++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    }));
  });
  const order = () =>
    fake.log("generate").map(({ input }) =>
      (input as { prompt: string }).prompt.startsWith("owner") ? "owner" : "peer"
    );
  for (let turn = 1; turn <= 8; turn++) {
    await until(() => backend.queued >= 20);
    const before = order().length;
    const options = { priority: "owner", principal: "owner", signal: new AbortController().signal } as const;
    let text = "";
    for await (const event of backend.infer(request(`owner ${turn}`, 2), options)) {
      if (event.type === "text") text += event.text;
    }
    assert.equal(text, "w0 w1");
    const since = order().slice(before);
    // One may have begun since the log was read.
    assert.ok(since.indexOf("owner") >= 0 && since.indexOf("owner") <= 1, `${since} after ${before}`);
  }
  assert.ok(refused > 0, "The line was full");
  enough.abort();
  await Promise.all(greedy);
  assert.equal(order().filter((who) => who === "owner").length, 8);
});

const OWNER = { priority: "owner", principal: "owner", signal: new AbortController().signal } as const;
const PEER = { priority: "peer", principal: "dave", signal: new AbortController().signal } as const;

Deno.test("A peer's endless answer is set aside for the owner's request, and goes on from where it was", async () => {
  await using fake = new FakeBackend();
  const { backend } = fake;
  const chat = {
    model: "fake",
    input: { kind: "chat" as const, messages: [{ role: "user" as const, content: "tell #slow=2" }] },
    parameters: { max_tokens: 400 },
  };
  let [text, starts, tokens] = ["", 0, 0];
  const ends: { usage: unknown; finish_reason: string }[] = [];
  const peer = (async () => {
    for await (const event of backend.infer(chat, PEER)) {
      if (event.type === "start") starts++;
      if (event.type === "text") [text, tokens] = [text + event.text, tokens + event.tokens];
      if (event.type === "end") ends.push(event);
    }
  })();
  await until(() => tokens >= 10);
  for await (const event of backend.infer(request("owner", 3), OWNER)) void event;
  assert.equal(ends.length, 0, "The owner did not wait for the end of it");
  await peer;
  const [, , again] = fake.log("generate");
  assert.deepEqual(again?.input, chat.input, "Nothing that was written went into a message");
  const { prompt, written } = again?.resume as { prompt: string; written: string };
  assert.deepEqual(decodeTokenIds(prompt), [1, 2]);
  const before = decodeTokenIds(written).length;
  assert.ok(before >= 10 && before < 400);
  assert.equal(text, Array.from({ length: 400 }, (_, word) => `w${word}`).join(" "));
  assert.deepEqual([starts, tokens, (again?.parameters as { max_tokens: number }).max_tokens], [1, 400, 400 - before]);
  assert.deepEqual(ends.map(({ usage }) => usage), [{ prompt_tokens: 2, completion_tokens: 400 }]);
  const [first, owner, same] = fake.log("generate").map(({ principal }) => principal);
  assert.notEqual(owner, first);
  assert.equal(same, first);
});

Deno.test("The owner takes the place of a peer's model, too, and keeps it for a while; then the peer's answer goes on", async () => {
  await using fake = new FakeBackend({ maxLoaded: 1, keepAliveMs: 200 });
  const { backend } = fake;
  let tokens = 0;
  const leave = new AbortController();
  const peer = (async () => {
    const options = { ...PEER, signal: leave.signal };
    for await (const event of backend.infer({ ...request("#slow=2", 900), model: "theirs" }, options)) {
      if (event.type === "text") tokens += event.tokens;
    }
  })();
  await until(() => tokens >= 5);
  for await (const event of backend.infer({ ...request("own", 3), model: "mine" }, OWNER)) void event;
  const seen = tokens;
  assert.deepEqual([backend.queued, backend.loaded().map(({ id }) => id)], [1, ["mine"]]);
  await until(() => tokens > seen);
  const loaded = fake.log("load").map(({ path }) => String(path));
  assert.deepEqual(loaded, ["/models/theirs.gguf", "/models/mine.gguf", "/models/theirs.gguf"]);
  leave.abort();
  await assert.rejects(peer, { code: "cancelled" });
  await until(() => backend.busy === 0 && backend.queued === 0);
});

Deno.test("The real engine goes on with an answer that was set aside, to its very last token", async () => {
  await using backend = await realBackend({ slots: 1 });
  const asked = (prompt: string, max_tokens: number) => ({
    model: "arkling",
    input: { kind: "completion" as const, prompt },
    parameters: { max_tokens, temperature: 0 },
  });
  let [before, after, tokens] = ["", "", 0];
  let asideOnce = false;
  for await (const event of backend.infer(asked("The quick brown fox", 400), PEER)) {
    if (event.type === "end") assert.deepEqual([event.finish_reason, event.usage.completion_tokens], ["length", 400]);
    if (event.type !== "text") continue;
    tokens += event.tokens;
    if (asideOnce) after += event.text;
    else before += event.text;
    if (asideOnce || tokens < 20) continue;
    asideOnce = true;
    for await (const each of backend.infer(asked("One", 3), OWNER)) void each;
  }
  assert.equal(tokens, 400);
  assert.ok(before.length > 10 && after.length > 10);
});

Deno.test("The real engine fills its slots with peers and keeps one for the owner; all answers are what they are alone", async () => {
  await using backend = await realBackend({ slots: 3 });
  const asked = (prompt: string, max_tokens: number) => ({
    model: "arkling",
    input: { kind: "completion" as const, prompt },
    parameters: { max_tokens, temperature: 0 },
  });
  const answer = async (prompt: string, principal: string, max_tokens: number) => {
    const priority = principal === "owner" ? "owner" as const : "peer" as const;
    let text = "";
    for await (const event of backend.infer(asked(prompt, max_tokens), { ...OWNER, priority, principal })) {
      if (event.type === "text") text += event.text;
    }
    return text;
  };
  const prompts = ["The quick brown fox", "Once upon a time", "The server is", "A model of"];
  const alone: string[] = [];
  for (const prompt of prompts) alone.push(await answer(prompt, "owner", 60));
  const [{ slots = 1 } = {}] = backend.loaded();
  const peers = prompts.map((prompt, index) => answer(prompt, `peer ${index}`, 60));
  // Where the engine has one slot, that is the owner's only while the owner asks.
  await until(() => backend.busy === Math.max(1, slots - 1));
  assert.equal(backend.queued, prompts.length - backend.busy);
  const own = answer(prompts[0] ?? "", "owner", 60);
  if (slots > 1) assert.equal(backend.busy, slots);
  assert.equal(await own, alone[0]);
  const texts = await Promise.all(peers);
  // What was set aside is read again in another batch, which may round otherwise; where slots are free, nothing was.
  if (slots > 1) assert.deepEqual(texts, alone);
});
