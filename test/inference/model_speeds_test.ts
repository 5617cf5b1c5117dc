import assert from "node:assert/strict";
import { ModelSpeeds } from "../../src/inference/model_speeds.ts";
import type { EngineResult } from "../../src/inference/worker/engine.ts";
import { FakeBackend, realBackend, until } from "./local_fixture.ts";

function result(
  prompt: number,
  written: number,
  { cached = 0, promptMs = 100, generationMs = 1_000 } = {},
): EngineResult {
  const usage = { prompt_tokens: prompt, completion_tokens: written, cached_tokens: cached };
  return { finish_reason: "stop", usage, prompt_ms: promptMs, generation_ms: generationMs };
}

Deno.test("ModelSpeeds follows what answers took: tokens that were read, and those that were written", () => {
  const speeds = new ModelSpeeds();
  const of = (model: string) => speeds.list().get(model);
  assert.equal(of("a"), undefined);
  speeds.loaded("a", 800);
  assert.deepEqual(of("a"), { loadMs: 800, promptRate: null, generationRate: null });
  speeds.finished("a", result(1_000, 51, { cached: 900 }), { resumed: false });
  assert.deepEqual(of("a"), { loadMs: 800, promptRate: 1_000, generationRate: 50 });
  // A quarter of the difference, in milliseconds for each token.
  speeds.finished("a", result(100, 51, { promptMs: 500, generationMs: 3_000 }), { resumed: false });
  assert.deepEqual(of("a"), { loadMs: 800, promptRate: 500, generationRate: 1_000 / 30 });
  for (let answer = 0; answer < 60; answer++) speeds.finished("a", result(100, 51), { resumed: false });
  assert.ok(Math.abs((of("a")?.generationRate ?? 0) - 50) < 0.01);
});

Deno.test("ModelSpeeds learns nothing from what says nothing", () => {
  const speeds = new ModelSpeeds();
  const none = { loadMs: null, promptRate: null, generationRate: null };
  speeds.finished("a", result(3, 2), { resumed: false });
  speeds.finished("a", result(1_000, 0, { promptMs: 0, generationMs: 0 }), { resumed: false });
  speeds.finished("a", result(1_000, 1, { cached: 999 }), { resumed: false });
  speeds.finished("a", result(1_000, 2), { resumed: true });
  assert.deepEqual(speeds.list().get("a"), none);
});

Deno.test("ModelSpeeds forgets models that were not used for long", () => {
  const speeds = new ModelSpeeds();
  for (let model = 0; model < 300; model++) speeds.loaded(`m${model}`, 1);
  assert.equal(speeds.list().size, 256);
  assert.ok(!speeds.list().has("m0") && speeds.list().has("m299"));
});

Deno.test("LocalBackend.speeds() tells what it measured of a real model", async () => {
  await using backend = await realBackend({ slots: 2 });
  assert.deepEqual([...backend.speeds()], []);
  const options = { priority: "peer", principal: "dave", signal: new AbortController().signal } as const;
  const prompt = "The server is ready and the client waits. ".repeat(10);
  const request = { model: "arkling", input: { kind: "completion" as const, prompt }, parameters: { max_tokens: 20 } };
  // The model may end an answer after a few words.
  const writes = () => [...backend.speeds().values()].some(({ generationRate }) => generationRate !== null);
  for (let turn = 0; turn < 20 && !writes(); turn++) {
    for await (
      const event of backend.infer({ ...request, input: { ...request.input, prompt: `${turn} ${prompt}` } }, options)
    ) {
      void event;
    }
  }
  const [[model, speed] = ["", null]] = [...backend.speeds()];
  assert.equal(model, backend.loaded()[0]?.id);
  for (const each of Object.values(speed ?? {})) assert.ok(each !== null && each > 0 && Number.isFinite(each));
  assert.equal(Object.values(speed ?? {}).length, 3);
});

Deno.test("LocalBackend.queue() tells what runs, what waits, and what a peer could begin at once", async () => {
  await using fake = new FakeBackend({ slots: 3 });
  const { backend } = fake;
  assert.deepEqual(backend.queue(), { running: 0, waiting: 0, slots: 1, freeForPeers: 1 });
  const leave = new AbortController();
  const ask = async (priority: "owner" | "peer") => {
    const options = { priority, principal: priority, signal: leave.signal };
    const request = {
      model: "fake",
      input: { kind: "completion" as const, prompt: "#slow=5" },
      parameters: { max_tokens: 900 },
    };
    for await (const event of backend.infer(request, options)) void event;
  };
  const asked: Promise<void>[] = [];
  const expect = async (priority: "owner" | "peer", queue: Omit<ReturnType<typeof backend.queue>, "slots">) => {
    asked.push(ask(priority));
    await until(() =>
      backend.queue().running + backend.queue().waiting === asked.length && backend.loaded().length === 1
    );
    assert.deepEqual(backend.queue(), { slots: 3, ...queue });
  };
  // The last slot is the owner's.
  await expect("peer", { running: 1, waiting: 0, freeForPeers: 1 });
  await expect("peer", { running: 2, waiting: 0, freeForPeers: 0 });
  await expect("peer", { running: 2, waiting: 1, freeForPeers: 0 });
  await expect("owner", { running: 3, waiting: 1, freeForPeers: 0 });
  leave.abort();
  for (const each of asked) await assert.rejects(each, { code: "cancelled" });
});
