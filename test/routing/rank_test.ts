import assert from "node:assert/strict";
import fc from "fast-check";
import { type Candidate, type Demand, estimateMs, rank } from "@ark/node/routing";
import { someCandidate as candidate } from "./some_candidate.ts";

const DEMAND: Demand = { promptTokens: 500, answerTokens: 200 };

function anyCandidate(): fc.Arbitrary<Candidate> {
  const speed = fc.option(fc.oneof(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.constant(Infinity)));
  return fc.record({
    key: fc.uuid(),
    name: fc.string(),
    local: fc.boolean(),
    loaded: fc.boolean(),
    inFlight: fc.nat(40),
    slots: fc.nat(8),
    queued: fc.nat(100),
    roundTripMs: fc.constantFrom(0, 1, 2.5, 400, Infinity),
    promptRate: speed,
    generationRate: speed,
    loadMs: fc.option(fc.nat(100_000)),
    successRate: fc.double({ min: 0, max: 1, noNaN: true }),
  });
}

function firstKeys(candidates: Candidate[], demand: Demand): string[] {
  return rank(candidates, demand).map(({ key }) => key);
}

Deno.test("estimateMs() adds waiting, loading, reading, writing and the network, and divides by reliability", () => {
  assert.equal(estimateMs(candidate(), DEMAND), 500 + 10_000);
  assert.equal(estimateMs(candidate({ roundTripMs: 40 }), DEMAND), 10_540);
  assert.equal(estimateMs(candidate({ loaded: false }), DEMAND), 13_500);
  assert.equal(estimateMs(candidate({ successRate: 0.5 }), DEMAND), 21_000);
  // Two are at work, two more wait: after three on two slots, each of which counts two and a half times.
  assert.equal(estimateMs(candidate({ inFlight: 2, slots: 2, queued: 2 }), DEMAND), 4.75 * 10_500);
  assert.equal(estimateMs(candidate({ free: 0 }), DEMAND), 3.5 * 10_500);
  const typical = { promptTokens: 0, answerTokens: 20 };
  assert.equal(estimateMs(candidate({ inFlight: 1 }), { ...DEMAND, typical }), 2_500 + 10_500);
  assert.equal(estimateMs(candidate(), { ...DEMAND, cachedTokens: () => 400 }), 100 + 10_000);
  assert.equal(estimateMs(candidate(), { ...DEMAND, cachedTokens: () => 1e9 }), 1 + 10_000);
});

Deno.test("estimateMs() is finite, and grows with what is to be done, whatever a candidate claims", () => {
  fc.assert(fc.property(anyCandidate(), fc.nat(100_000), fc.nat(10_000), (one, promptTokens, answerTokens) => {
    const ms = estimateMs(one, { promptTokens, answerTokens });
    assert.ok(ms >= 0 && ms < Infinity, `${ms}`);
    assert.ok(estimateMs(one, { promptTokens: promptTokens + 100, answerTokens: answerTokens + 100 }) >= ms);
  }));
});

Deno.test("rank() orders by estimate, is pure, and the same whatever the order, where nothing is near a tie", () => {
  fc.assert(fc.property(fc.array(anyCandidate(), { maxLength: 12 }), (all) => {
    const candidates = all.map(Object.freeze) as Candidate[];
    const ranked = rank(candidates, DEMAND);
    assert.deepEqual(new Set(ranked), new Set(candidates));
    assert.equal(ranked.length, candidates.length);
    const times = ranked.map((one) => estimateMs(one, DEMAND));
    for (const [index, ms] of times.slice(2).entries()) assert.ok(ms >= (times[index + 1] ?? 0));
    const best = Math.min(...times);
    const untried = ranked[0]?.local === true && (ranked[0].promptRate === null || ranked[0].generationRate === null ||
      ranked[0].loadMs === null);
    if (untried) return;
    if (times.length > 0) assert.ok((times[0] ?? 0) <= Math.max(best * 1.1, best + 5), "the first is no near tie");
  }));
});

Deno.test("rank() sends a question away from this node where that is clearly faster, and a tie stays home", () => {
  const own = candidate({ key: "local", local: true });
  assert.deepEqual(firstKeys([candidate({ generationRate: 40 }), own], DEMAND), ["peer", "local"]);
  assert.deepEqual(firstKeys([candidate({ generationRate: 21 }), own], DEMAND), ["local", "peer"]);
  assert.deepEqual(firstKeys([candidate(), { ...own, inFlight: 1 }], DEMAND), ["peer", "local"]);
  for (let seed = 0; seed < 1; seed += 1 / 64) {
    assert.equal(firstKeys([candidate(), own], { ...DEMAND, random: () => seed })[0], "local");
  }
});

Deno.test("rank() tries this node first where it was never measured and is free", () => {
  const own = candidate({ key: "local", local: true });
  const fast = candidate({ generationRate: 400 });
  assert.deepEqual(firstKeys([fast, own], DEMAND), ["peer", "local"]);
  for (const unknown of [{ promptRate: null }, { generationRate: null }, { loaded: false, loadMs: null }]) {
    assert.deepEqual(firstKeys([fast, { ...own, ...unknown }], DEMAND), ["local", "peer"]);
    assert.deepEqual(firstKeys([fast, { ...own, ...unknown, inFlight: 1 }], DEMAND), ["peer", "local"]);
  }
});

Deno.test("rank() chooses among near ties by chance, and of two the one with less to do", () => {
  const many = Array.from({ length: 8 }, (_, index) => candidate({ key: `${index}`, roundTripMs: index }));
  const slow = candidate({ key: "slow", generationRate: 15 });
  const firsts = new Set<string>();
  for (let one = 0.05; one < 1; one += 0.1) {
    for (let other = 0.05; other < 1; other += 0.1) {
      const draws = [one, other];
      firsts.add(firstKeys([...many, slow], { ...DEMAND, random: () => draws.shift() ?? 0 })[0] ?? "");
    }
  }
  assert.ok(firsts.size >= 6 && !firsts.has("slow"), [...firsts].join());
  const two = [candidate({ key: "busier", slots: 4, inFlight: 3 }), candidate({ key: "idler", slots: 4 })];
  for (const draw of [0, 0.3, 0.7, 0.99]) {
    assert.equal(firstKeys(two, { ...DEMAND, random: () => draw })[0], "idler");
  }
});

Deno.test("rank() goes where the prompt's cache is warm, unless that node has much more to do than the others", () => {
  const [cold, warm] = [candidate({ key: "cold" }), candidate({ key: "warm", roundTripMs: 9 })];
  const demand = { ...DEMAND, cachedTokens: (key: string) => key === "warm" ? 448 : 0 };
  for (const draw of [0, 0.5, 0.99]) {
    assert.equal(firstKeys([cold, warm], { ...demand, random: () => draw })[0], "warm");
  }
  const long = { promptTokens: 8_000, answerTokens: 20, cachedTokens: (key: string) => key === "warm" ? 7_936 : 0 };
  const busy = { ...warm, slots: 8, inFlight: 7 };
  const others = [1, 2, 3].map((index) => candidate({ key: `${index}`, slots: 8, inFlight: 1 }));
  assert.equal(firstKeys([...others, { ...busy, inFlight: 4 }], long)[0], "warm");
  // Mean load 2.5: 7 is more than 1.5 times as much and two.
  assert.notEqual(firstKeys([...others, busy], long)[0], "warm");
});
