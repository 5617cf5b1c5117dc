import assert from "node:assert/strict";
import { expectedRates, loadSince, Observations, Reputation } from "@ark/node/routing";

/** A node that claims to write 100 tokens a second, and writes `rate`. */
function world({ rate = 100, claimed = 100 }: { rate?: number; claimed?: number } = {}) {
  let now = 0;
  const clock = () => now;
  const reputation = new Reputation({ clock });
  const observations = new Observations({ clock, ended: (ended) => reputation.note(ended) });
  const claim = { promptRate: 2_000, generationRate: claimed };
  return {
    wait: (ms: number) => void (now += ms),
    answer(speed = rate) {
      const observation = observations.begin("peer", "model", { promptTokens: 1_000, claim });
      observation.started();
      now += 500;
      observation.firstToken();
      now += 100_000 / speed;
      observation.tokens(100);
      observation.end("ok");
    },
    rates: () => expectedRates(observations.of("peer", "model"), claim, reputation.of("peer").honesty),
    elsewhere: () => expectedRates(observations.of("peer", "other"), claim, reputation.of("peer").honesty),
    honesty: () => reputation.of("peer").honesty,
  };
}

Deno.test("expectedRates() takes a claim where nothing was observed, within bounds, and nothing without one", () => {
  const { rates } = world();
  assert.deepEqual(rates(), { promptRate: 2_000, generationRate: 100 });
  assert.equal(world({ claimed: 1e12 }).rates().generationRate, 1_000);
  for (const claimed of [0, -1, NaN]) assert.equal(world({ claimed }).rates().generationRate, null);
});

Deno.test("expectedRates() prefers what was observed, and goes back to the claim while nothing is", () => {
  const peer = world({ rate: 20 });
  peer.answer();
  const { generationRate = 0, promptRate } = peer.rates();
  assert.ok(Math.abs((generationRate ?? 0) - 19.8) < 1, `${generationRate}`);
  assert.ok(Math.abs((promptRate ?? 0) - 2_000) < 1);
  peer.wait(60_000);
  const later = peer.rates().generationRate ?? 0;
  assert.ok(later > (generationRate ?? 0) * 1.05 && later < 100, `${later}`);
  peer.wait(3_600_000);
  assert.ok((peer.rates().generationRate ?? 0) > 80);
});

Deno.test("A claim loses weight when it proves wrong, for other models too, and gains it again", () => {
  const liar = world({ rate: 10 });
  const honest = world({ rate: 95 });
  for (let turn = 0; turn < 6; turn++) {
    liar.answer();
    honest.answer();
  }
  assert.equal(honest.honesty(), 1);
  assert.ok(liar.honesty() < 0.5, `${liar.honesty()}`);
  assert.equal(honest.elsewhere().generationRate, 100);
  assert.equal(liar.elsewhere().generationRate, 100 * liar.honesty());
  const before = liar.honesty();
  liar.wait(3_600_000);
  for (let turn = 0; turn < 3; turn++) liar.answer(100);
  assert.ok(liar.honesty() > 1.5 * before, `${before}, then ${liar.honesty()}`);
});

Deno.test("A claim that is too modest is no lie", () => {
  const modest = world({ rate: 400 });
  for (let turn = 0; turn < 6; turn++) modest.answer();
  assert.equal(modest.honesty(), 1);
  assert.ok((modest.rates().generationRate ?? 0) > 300);
});

Deno.test("loadSince() takes what was sent from the free slots first, then it waits", () => {
  assert.deepEqual(loadSince({ free: 2, queued: 0 }, 0), { free: 2, queued: 0 });
  assert.deepEqual(loadSince({ free: 2, queued: 0 }, 1), { free: 1, queued: 0 });
  assert.deepEqual(loadSince({ free: 2, queued: 1 }, 5), { free: 0, queued: 4 });
});
