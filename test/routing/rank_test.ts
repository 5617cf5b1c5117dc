import assert from "node:assert/strict";
import fc from "fast-check";
import { type Candidate, rank } from "@ark/node/routing";

function candidate(): fc.Arbitrary<Candidate> {
  return fc.record({
    name: fc.string(),
    local: fc.boolean(),
    loaded: fc.boolean(),
    inFlight: fc.nat(4),
    slots: fc.nat(4),
    roundTripMs: fc.constantFrom(0, 1, 2.5, 40, Infinity),
  });
}

/** What the order looks at, each smaller is better. */
function keysOf({ local, loaded, inFlight, slots, roundTripMs }: Candidate): number[] {
  return [local ? 0 : 1, inFlight < slots ? 0 : 1, loaded ? 0 : 1, inFlight, roundTripMs];
}

function compare(a: Candidate, b: Candidate): number {
  const [left, right] = [keysOf(a), keysOf(b)];
  const differs = left.findIndex((key, index) => key !== right[index]);
  return differs < 0 ? 0 : (left[differs] ?? 0) < (right[differs] ?? 0) ? -1 : 1;
}

Deno.test("rank() puts this node first, then a free slot, a warm model, fewer requests, the shorter way", () => {
  fc.assert(fc.property(fc.array(candidate()), (candidates) => {
    const ranked = rank(candidates);
    for (const [index, each] of ranked.slice(1).entries()) assert.ok(compare(ranked[index] ?? each, each) <= 0);
    assert.deepEqual(new Set(ranked), new Set(candidates));
    assert.equal(ranked.length, candidates.length);
  }));
});

Deno.test("rank() is stable, pure, and gives the same for its own result", () => {
  fc.assert(fc.property(fc.array(candidate()), (candidates) => {
    const before = [...candidates];
    const ranked = rank(candidates.map(Object.freeze) as Candidate[]);
    assert.ok(candidates.every((each, index) => each === before[index]));
    assert.deepEqual(rank(ranked), ranked);
    for (const [index, each] of ranked.entries()) {
      const next = ranked[index + 1];
      if (next !== undefined && compare(each, next) === 0) {
        assert.ok(candidates.indexOf(each) < candidates.indexOf(next) || each === next);
      }
    }
  }));
});

Deno.test("rank() does not depend on the order in which different candidates come", () => {
  const distinct = fc.uniqueArray(candidate(), { selector: (each) => keysOf(each).join() });
  fc.assert(
    fc.property(
      distinct.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
      (
        [all, shuffled],
      ) => {
        assert.deepEqual(rank(shuffled), rank(all));
      },
    ),
  );
});

Deno.test("rank() sends a second question to the free peer, and to the warm one while it has a slot", () => {
  const base: Candidate = { name: "", local: false, loaded: false, inFlight: 0, slots: 1, roundTripMs: 1 };
  const busy = { ...base, name: "busy", loaded: true, inFlight: 1 };
  const cold = { ...base, name: "cold", roundTripMs: 30 };
  assert.deepEqual(rank([busy, cold]).map(({ name }) => name), ["cold", "busy"]);
  const warm = { ...busy, name: "warm", slots: 2 };
  assert.deepEqual(rank([cold, warm]).map(({ name }) => name), ["warm", "cold"]);
});
