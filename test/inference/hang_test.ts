import assert from "node:assert/strict";
import { ArkError, type InferenceInput } from "@ark/node/protocol";
import { firstPartMs, WorkerRequests } from "../../src/inference/worker_requests.ts";
import { WORKER_TIMES } from "../../src/inference/worker_times.ts";
import { answerOf, asking, question } from "./backend_contract.ts";
import { alive, FakeBackend, until } from "./local_fixture.ts";

Deno.test("An engine that hangs before its first token is ended, and the next request gets a new one", async () => {
  await using fake = new FakeBackend({ workerTimes: { firstToken: 100 } });
  await fake.backend.load("fake");
  const pid = fake.backend.loaded()[0]?.pid ?? 0;
  const hung = answerOf(fake.backend.infer(question("fake", "#hang"), asking()));
  await assert.rejects(hung, { code: "engine_failed", message: /^The engine hung while it read a prompt/ });
  assert.equal((await answerOf(fake.backend.infer(question("fake", "a", { max_tokens: 1 }), asking()))).text, "w0");
  assert.ok(!alive(pid));
});

Deno.test("An engine that hangs between two tokens is ended; who ran beside fails, too, and who waited does not", async () => {
  await using fake = new FakeBackend({ slots: 2, workerTimes: { interToken: 300 } });
  const hung = answerOf(fake.backend.infer(question("fake", "#hang-after=3"), asking()));
  const beside = answerOf(fake.backend.infer(question("fake", "#slow=5", { max_tokens: 900 }), asking()));
  const waiting = answerOf(fake.backend.infer(question("fake", "waits", { max_tokens: 2 }), asking()));
  const message = /^The engine hung while it wrote an answer/;
  await Promise.all([
    assert.rejects(hung, { code: "engine_failed", message }),
    assert.rejects(beside, { code: "engine_failed", message }),
  ]);
  assert.equal((await waiting).text, "w0 w1");
  assert.equal(fake.log("fake:start").length, 2);
});

Deno.test("A peer's answer that waits while the owner's is written is not taken for one that hangs", async () => {
  await using fake = new FakeBackend({ slots: 2, workerTimes: { interToken: 400 } });
  const peer = asking({ priority: "peer", principal: "dave" });
  const hung = answerOf(fake.backend.infer(question("fake", "#hang-after=3"), peer));
  await until(() => fake.log("generate").length === 1);
  const owner = answerOf(fake.backend.infer(question("fake", "#slow=20", { max_tokens: 80 }), asking()));
  assert.equal((await owner).usage.completion_tokens, 80, "longer than that");
  await assert.rejects(hung, { code: "engine_failed", message: /hung while it wrote/ });
  assert.deepEqual(fake.log("generate").map(({ urgent }) => urgent), [undefined, true]);
});

Deno.test("An engine that is slow and does not hang is left alone, though its whole answer takes longer", async () => {
  await using fake = new FakeBackend({ workerTimes: { firstToken: 2_000, interToken: 2_000 } });
  const answer = await answerOf(fake.backend.infer(question("fake", "#slow=50", { max_tokens: 50 }), asking()));
  assert.equal(answer.usage.completion_tokens, 50);
});

Deno.test("An engine that hung is not started again at once where it hangs each time", async () => {
  await using fake = new FakeBackend({ workerTimes: { firstToken: 50 } });
  const hang = () => answerOf(fake.backend.infer(question("fake", "#hang"), asking()));
  await assert.rejects(hang(), { retryAfterSeconds: undefined });
  await assert.rejects(hang(), { retryAfterSeconds: undefined });
  await assert.rejects(hang(), { code: "engine_failed", retryAfterSeconds: 1 });
  assert.match(fake.backend.failure("fake") ?? "", /hung/);
});

Deno.test("firstPartMs() gives a long prompt more time, as its engine was measured, and a short one the floor", () => {
  const floor = 120_000;
  assert.equal(firstPartMs(10, { perTokenMs: 1, beside: 1, floor }), floor);
  assert.equal(firstPartMs(100_000, { perTokenMs: 1, beside: 1, floor }), 800_000);
  assert.equal(firstPartMs(100_000, { perTokenMs: 1, beside: 4, floor }), 3_200_000);
});

Deno.test("WorkerRequests measures how fast prompts are read, and waits longer where functions may be called", async () => {
  const late: string[] = [];
  const requests = new WorkerRequests({ ...WORKER_TIMES, tokens: 40, firstToken: 40, interToken: 40 }, (error) => {
    late.push(error.message);
  });
  const failed: ArkError[] = [];
  const listener = { start() {}, part() {}, end() {}, fail: (error: ArkError) => void failed.push(error) };
  const completion: InferenceInput = { kind: "completion", prompt: "a" };
  const chat: InferenceInput = { kind: "chat", messages: [], tools: [{ name: "f" }] };
  const part = { type: "text", text: "a", tokens: 1 } as const;
  // A token took 100 ms, so 1,000 of them have 800 s instead of 40 ms.
  const first = requests.add({ input: completion, parameters: {} }, listener);
  requests.start(first, { promptTokens: 1 });
  requests.end(first, {
    finish_reason: "stop",
    usage: { prompt_tokens: 1, completion_tokens: 1, cached_tokens: 0 },
    prompt_ms: 100,
    generation_ms: 1,
  });
  const long = requests.add({ input: completion, parameters: {} }, listener);
  requests.start(long, { promptTokens: 1_000 });
  const calling = requests.add({ input: chat, parameters: {} }, listener);
  requests.start(calling, { promptTokens: 1_000 });
  requests.part(calling, part);
  const began = performance.now();
  await until(() => late.length > 0);
  assert.ok(performance.now() - began >= 350, "ten times longer");
  assert.match(late.join(), /hung while it wrote/);
  assert.throws(() => requests.part(99, part), { code: "engine_failed" });
  requests.failAll(new ArkError("engine_failed", "It is over"));
  assert.deepEqual([failed.length, requests.size], [2, 0]);
});
