import assert from "node:assert/strict";
import { type Ended, Observations } from "@ark/node/routing";

function opened(most?: number) {
  let now = 1_000;
  const ended: Ended[] = [];
  const observations = new Observations({
    clock: () => now,
    ended: (one) => void ended.push(one),
    ...most === undefined ? {} : { most },
  });
  return { observations, ended, wait: (ms: number) => void (now += ms) };
}

/** One answer: its first token after so many milliseconds, then 20 tokens. */
function answer(
  { observations, wait }: ReturnType<typeof opened>,
  { firstMs = 500, eachMs = 50, key = "a" }: { firstMs?: number; eachMs?: number; key?: string } = {},
): void {
  const observation = observations.begin(key, "m", { promptTokens: 1_000 });
  wait(firstMs);
  observation.firstToken();
  for (let token = 0; token < 20; token++) {
    wait(eachMs);
    observation.tokens(1);
  }
  observation.end("ok");
}

Deno.test("Observations tells how fast prompts were read and answers written, and how evenly", () => {
  const world = opened();
  assert.equal(world.observations.of("a", "m").promptRate, null);
  assert.equal(world.observations.of("a", "m").successRate, 1);
  answer(world);
  const { promptRate, itlMs, itlDeviationMs, samples, ageMs } = world.observations.of("a", "m");
  assert.deepEqual([promptRate, itlMs, samples, ageMs], [2_000, 50, 1, 0]);
  assert.ok((itlDeviationMs ?? 99) < 1);
  const { generationRate = 0, firstTokenP95Ms } = world.observations.of("a", "m");
  assert.ok(Math.abs((generationRate ?? 0) - 19) < 1.1, `${generationRate}`);
  assert.equal(firstTokenP95Ms, null);
  assert.equal(world.observations.of("a", "other").samples, 0);
  assert.equal(world.observations.of("b", "m").samples, 0);
});

Deno.test("Observations believes slowness sooner than speed", () => {
  const world = opened();
  answer(world);
  const rate = () => world.observations.of("a", "m").generationRate ?? 0;
  const before = rate();
  answer(world, { eachMs: 500 });
  const slow = rate();
  assert.ok(slow < before / 4, `${before}, then ${slow}`);
  answer(world);
  assert.ok(rate() < before / 2);
  for (let turn = 0; turn < 40; turn++) answer(world);
  assert.ok(rate() > 0.95 * before);
});

Deno.test("Observations counts no wait for a slot or the model as reading", () => {
  const world = opened();
  const waited = world.observations.begin("a", "m", { promptTokens: 900 });
  world.wait(60_000);
  waited.started(1_000);
  world.wait(500);
  waited.tokens(1);
  waited.end("ok");
  assert.equal(world.observations.of("a", "m").promptRate, 2_000);
  const untold = world.observations.begin("b", "m", { promptTokens: 1_000, waits: true });
  world.wait(60_000);
  untold.tokens(1);
  untold.end("ok");
  assert.equal(world.observations.of("b", "m").promptRate, null);
  const cached = world.observations.begin("c", "m", { promptTokens: 1_000, cachedTokens: 900, roundTripMs: 10 });
  world.wait(60);
  cached.tokens(1);
  cached.end("ok");
  assert.equal(world.observations.of("c", "m").promptRate, 2_000);
});

Deno.test("Observations tells what 95 of 100 first tokens came within, of those of the last ten minutes", () => {
  const world = opened();
  for (let turn = 1; turn <= 60; turn++) answer(world, { firstMs: turn * 10, eachMs: 1 });
  assert.equal(world.observations.of("a", "m").firstTokenP95Ms, 570);
  world.wait(700_000);
  assert.equal(world.observations.of("a", "m").firstTokenP95Ms, null);
});

Deno.test("Observations counts as success and failure only what says something about who was asked", () => {
  const world = opened();
  const end = (outcome: Parameters<ReturnType<Observations["begin"]>["end"]>[0]) =>
    world.observations.begin("a", "m", { promptTokens: 10 }).end(outcome);
  for (const outcome of ["cancelled", "bad_request", "busy", "context_exceeded", "model_not_shared"] as const) {
    end(outcome);
  }
  assert.equal(world.observations.of("a", "m").successRate, 1);
  end("unavailable");
  const once = world.observations.of("a", "m").successRate;
  assert.ok(once < 0.7, `${once}`);
  end("engine_failed");
  assert.ok(world.observations.of("a", "m").successRate < once);
  world.wait(1_200_000);
  assert.ok(world.observations.of("a", "m").successRate > 0.99);
});

Deno.test("An observation ends once, and takes nothing afterwards", () => {
  const world = opened();
  const observation = world.observations.begin("a", "m", { promptTokens: 10 });
  observation.end("ok");
  observation.end("unavailable");
  observation.tokens(5);
  observation.started(7);
  observation.firstToken();
  assert.equal(world.ended.length, 1);
  assert.deepEqual([world.ended[0]?.outcome, world.ended[0]?.began], ["ok", false]);
});

Deno.test("Observations remembers no more than it may, those used last, and forgets on demand", () => {
  const world = opened(3);
  for (const key of ["a", "b", "c", "a", "d"]) answer(world, { key });
  assert.deepEqual(world.observations.list().map(({ key }) => key), ["c", "a", "d"]);
  world.observations.reset("a");
  assert.deepEqual(world.observations.list().map(({ key }) => key), ["c", "d"]);
  assert.equal(world.observations.of("a", "m").samples, 0);
});
