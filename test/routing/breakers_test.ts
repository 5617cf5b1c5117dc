import assert from "node:assert/strict";
import fc from "fast-check";
import { Breakers } from "../../src/routing/breakers.ts";
import { chain, ChainBackend, chainScene, readChain } from "./chain_backend.ts";

function clocked(): { breakers: Breakers; clock: { now: number } } {
  const clock = { now: 0 };
  return { breakers: new Breakers({ clock: () => clock.now }), clock };
}

function fail(breakers: Breakers, times: number): void {
  for (let time = 0; time < times; time++) breakers.failed("a", "m");
}

Deno.test("Breakers open after three failures in a row, for this model only, and let one request try it when the time is over", () => {
  const { breakers, clock } = clocked();
  fail(breakers, 2);
  assert.equal(breakers.state("a", "m"), "closed");
  breakers.succeeded("a", "m");
  fail(breakers, 2);
  assert.equal(breakers.state("a", "m"), "closed", "They were not in a row");
  fail(breakers, 1);
  assert.equal(breakers.state("a", "m"), "open");
  assert.equal(breakers.state("a", "other"), "closed");
  clock.now = 999;
  assert.equal(breakers.state("a", "m"), "open");
  clock.now = 1_000;
  assert.equal(breakers.state("a", "m"), "half_open");
  breakers.asked("a", "m");
  assert.equal(breakers.state("a", "m"), "open", "One is enough to try it");
  breakers.left("a", "m");
  assert.equal(breakers.state("a", "m"), "half_open", "That one said nothing");
  breakers.asked("a", "m");
  breakers.began("a", "m");
  assert.equal(breakers.state("a", "m"), "closed");
  fail(breakers, 1);
  assert.equal(breakers.state("a", "m"), "open", "It fails again at once");
});

Deno.test("Breakers stay open twice as long each time, at most 60 s, and forget with an answer that came to its end", () => {
  const { breakers, clock } = clocked();
  fail(breakers, 3);
  const times: number[] = [];
  for (let round = 0; round < 9; round++) {
    const since = clock.now;
    while (breakers.state("a", "m") === "open") clock.now += 250;
    times.push(clock.now - since);
    breakers.asked("a", "m");
    fail(breakers, 1);
  }
  assert.deepEqual(times, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  while (breakers.state("a", "m") === "open") clock.now += 250;
  breakers.asked("a", "m");
  breakers.began("a", "m");
  breakers.succeeded("a", "m");
  fail(breakers, 3);
  clock.now += 1_000;
  assert.equal(breakers.state("a", "m"), "half_open");
});

Deno.test("Breakers remember a bounded number, and take any order of calls", () => {
  const few = new Breakers({ most: 3 });
  for (let index = 0; index < 10; index++) for (let time = 0; time < 3; time++) few.failed(`peer${index}`, "m");
  const open = Array.from({ length: 10 }, (_, index) => few.state(`peer${index}`, "m") === "open");
  assert.deepEqual(open.map(Number), [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
  const call = fc.constantFrom("asked", "began", "succeeded", "failed", "left");
  fc.assert(fc.property(fc.array(fc.tuple(call, fc.nat(3_000))), (calls) => {
    const { breakers, clock } = clocked();
    for (const [name, ms] of calls) {
      clock.now += ms;
      breakers[name as "asked"]("a", "m");
    }
    // Whatever happened, it can be tried again within its longest time, unless somebody is trying it.
    breakers.left("a", "m");
    clock.now += 60_000;
    assert.notEqual(breakers.state("a", "m"), "open");
  }));
});

Deno.test("Router.infer() asks one that keeps failing only where nobody else is left", async () => {
  const always = Array.from({ length: 50 }, () => ({ after: 0, how: "unavailable" as const }));
  const broken = new ChainBackend("broken", { fates: always });
  const sound = new ChainBackend("sound", { startMs: 1 });
  const { infer, router } = chainScene({ peers: [broken, sound], hedge: "off" });
  for (let round = 0; round < 40; round++) assert.deepEqual((await readChain(infer())).ids, chain(12));
  assert.ok(broken.requests.length <= 4, `${broken.requests.length} requests`);
  assert.equal(router.explain("chain:1b").at(-1)?.name, "peer0");
  const alone = chainScene({ peers: [new ChainBackend("flaky", { fates: always.slice(0, 5) })], hedge: "off" });
  for (let round = 0; round < 4; round++) await readChain(alone.infer());
  const { ids, error } = await readChain(alone.infer());
  assert.deepEqual([ids, error], [chain(12), null], "There is nobody else, so it is asked all the same");
});
