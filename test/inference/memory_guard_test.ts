import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryGuard, strainOf } from "../../src/inference/memory_guard.ts";
import type { MemoryReading } from "../../src/inference/memory_reader.ts";

const GB = 1e9;

/** A calm machine, changed as asked. */
function reading(ms: number, parts: Partial<MemoryReading> = {}): MemoryReading {
  return {
    ms,
    stalledUs: 0,
    ownStalledUs: null,
    swappedIn: 0,
    majorFaults: 0,
    totalBytes: 16 * GB,
    availableBytes: 8 * GB,
    ...parts,
  };
}

const NOTHING = { stalledUs: null, swappedIn: null, majorFaults: null, totalBytes: null, availableBytes: null };

Deno.test("strainOf() tells a machine that thrashes from one that reads a model, swaps what nobody uses, or knows nothing", () => {
  const cases: [string, Partial<MemoryReading>, string][] = [
    ["nothing happens", {}, "calm"],
    ["nothing is known", NOTHING, "calm"],
    ["a model is read for the first time", { majorFaults: 500_000 }, "calm"],
    ["a little swap", { swappedIn: 100, majorFaults: 100 }, "calm"],
    ["5 % of the time is lost", { stalledUs: 100_000 }, "uneasy"],
    ["15 % of the time is lost", { stalledUs: 300_000 }, "thrashing"],
    ["the node's own group loses 15 %", { ownStalledUs: 300_000 }, "thrashing"],
    ["swap comes back", { swappedIn: 20_000, majorFaults: 4_000 }, "thrashing"],
    ["swap comes back without faults", { swappedIn: 20_000 }, "uneasy"],
    ["3 % of memory is left", { availableBytes: 0.48 * GB }, "uneasy"],
    ["1 % of memory is left", { availableBytes: 0.16 * GB }, "thrashing"],
  ];
  for (const [what, parts, strain] of cases) {
    const before = reading(0, { ownStalledUs: 0 });
    assert.equal(strainOf(before, reading(2_000, { ownStalledUs: 0, ...parts })).strain, strain, what);
  }
  assert.match(strainOf(reading(0), reading(2_000, { stalledUs: 1e6 })).sentence, /wait for memory 50 % of the time/);
});

/**
 * What a machine with 4 cores said every two seconds, in microseconds, while four programs in a group with 48 MB read a
 * file of 60 MB again and again, and when they had ended: `full` of the machine and of the group.
 */
const RECORDED: [machine: number, own: number, ready: boolean][] = [
  [72_679, 327_031, true],
  [154_088, 912_391, true],
  [243_157, 1_550_150, false],
  [390_417, 2_127_336, false],
  [429_444, 2_519_656, false],
  [429_444, 2_519_656, false],
];

Deno.test("MemoryGuard is not ready after two readings that show thrashing, and is again after 20 calm seconds", () => {
  const guard = new MemoryGuard();
  for (const [index, [stalledUs, ownStalledUs, ready]] of RECORDED.entries()) {
    guard.note(reading(index * 2_000, { stalledUs, ownStalledUs }));
    assert.equal(guard.ready, ready, `after reading ${index}`);
  }
  assert.match(
    guard.reason ?? "",
    /^This machine has too little memory .* wait for memory 20 % of the time; peers must/,
  );
  const changes: number[] = [];
  for (let index = RECORDED.length; index < 40; index++) {
    const calm = { stalledUs: 429_444, ownStalledUs: 2_519_656 };
    if (guard.note(reading(index * 2_000, calm))) changes.push(index * 2_000);
  }
  assert.deepEqual(changes, [28_000], "twenty seconds after the last strain, which ended at 8 s");
  assert.equal(guard.reason, null);
});

Deno.test("MemoryGuard does not flutter: one bad moment changes nothing, nor does one good one", () => {
  const guard = new MemoryGuard();
  let stalledUs = 0;
  let ms = 0;
  const lose = (us: number) => guard.note(reading(ms += 2_000, { stalledUs: stalledUs += us }));
  for (const us of [0, 1e6, 0, 1e6, 0, 1e6]) assert.ok(!lose(us));
  assert.ok(lose(1e6));
  assert.ok(!guard.ready);
  for (let turn = 0; turn < 30; turn++) {
    // Calm for 18 seconds, then uneasy for 2.
    assert.ok(!lose(turn % 10 === 9 ? 1e5 : 0));
    assert.ok(!guard.ready);
  }
});

Deno.test("MemoryGuard takes any readings, and is ready where nothing can be read", () => {
  const count = fc.option(fc.integer({ min: 0, max: 2 ** 40 }));
  const any = fc.record({
    ms: fc.integer({ min: -5, max: 1e6 }),
    stalledUs: count,
    ownStalledUs: count,
    swappedIn: count,
    majorFaults: count,
    totalBytes: count,
    availableBytes: count,
  });
  fc.assert(fc.property(fc.array(any), (readings) => {
    const guard = new MemoryGuard();
    for (const each of readings) {
      guard.note(each);
      assert.equal(guard.ready, guard.reason === null);
    }
  }));
  const guard = new MemoryGuard();
  for (let ms = 0; ms < 100_000; ms += 2_000) guard.note({ ...reading(ms, NOTHING) });
  assert.ok(guard.ready);
});
