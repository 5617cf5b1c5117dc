import assert from "node:assert/strict";
import { DemandHistory, hourOfWeek } from "@ark/node/inference";
import { openStore } from "@ark/node/store";
import fc from "fast-check";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
/** Without a time zone: midnight of a Sunday is 0. */
const hourOf = (at: number) => ({ hour: Math.floor(at / HOUR) % 168, week: Math.floor(at / WEEK) });

function history(): DemandHistory {
  return new DemandHistory({ hourOf });
}

Deno.test("DemandHistory.expected() knows an hour that comes each day, and each week", () => {
  const demand = history();
  for (let request = 0; request < 6; request++) demand.note("daily", 9 * HOUR);
  assert.equal(demand.expected("daily", 9 * HOUR), 0, "What is asked for now is no pattern");
  assert.equal(demand.expected("daily", DAY + 9 * HOUR), 1, "One day of six others");
  assert.equal(demand.expected("daily", DAY + 10 * HOUR), 0);
  assert.equal(demand.expected("daily", WEEK + 9 * HOUR), 6, "The same hour a week later");
  assert.equal(demand.expected("daily", 2 * WEEK + 9 * HOUR), 3, "It fades");
  assert.equal(demand.expected("other", DAY + 9 * HOUR), 0);
});

Deno.test("DemandHistory.next() tells what is likely soon, the likeliest first", () => {
  const demand = history();
  for (let day = 0; day < 5; day++) {
    for (let request = 0; request < 3; request++) demand.note("often", day * DAY + 9 * HOUR);
    demand.note("seldom", day * DAY + 9 * HOUR);
    demand.note("evening", day * DAY + 20 * HOUR);
  }
  const at = 5 * DAY + 9 * HOUR - 60_000 * 8;
  assert.deepEqual(demand.next(at, { withinMs: 600_000, least: 0.5 }), ["often", "seldom"]);
  assert.deepEqual(demand.next(at, { withinMs: 600_000, least: 2 }), ["often"]);
  assert.deepEqual(demand.next(at - HOUR, { withinMs: 600_000, least: 0.5 }), []);
  assert.deepEqual(demand.next(5 * DAY + 20 * HOUR + 1, { withinMs: 600_000, least: 0.5 }), ["evening"]);
});

Deno.test("DemandHistory holds no more than 64 models, and forgets those that were asked for least", () => {
  const demand = history();
  for (let request = 0; request < 5; request++) demand.note("much", 0);
  for (let model = 0; model < 200; model++) demand.note(`once ${model}`, model * 1_000);
  assert.ok(demand.size <= 64);
  assert.equal(demand.expected("much", WEEK), 5);
});

Deno.test("DemandHistory expects nothing that is not a number, whatever was noted and whichever way the clock goes", () => {
  fc.assert(fc.property(
    fc.array(fc.record({ model: fc.constantFrom("a", "b"), at: fc.integer({ min: 0, max: 20 * WEEK }) })),
    fc.integer({ min: 0, max: 20 * WEEK }),
    (notes, at) => {
      const demand = history();
      for (const note of notes) demand.note(note.model, note.at);
      for (const model of ["a", "b"]) {
        const expected = demand.expected(model, at);
        assert.ok(expected >= 0 && expected <= 2 * notes.length + 1, `${expected}`);
      }
    },
  ));
});

Deno.test("DemandHistory is the same after a restart, and survives rows that make no sense", async () => {
  await using store = await openStore(":memory:");
  {
    await using demand = await DemandHistory.open({ store, hourOf });
    for (let day = 0; day < 4; day++) demand.note("kept", day * DAY + 9 * HOUR);
  }
  await store.insertInto("demand").values({ model: "negative", hour: 1, asked: -5, week: 0 }).execute();
  const again = await DemandHistory.open({ store, hourOf });
  assert.equal(again.size, 1);
  assert.equal(again.expected("kept", 5 * DAY + 9 * HOUR), 4 / 6);
  await again.flush();
  assert.equal(
    (await store.selectFrom("demand").selectAll().execute()).length,
    5,
    "What did not change is not written",
  );
});

Deno.test("hourOfWeek() counts hours from the Sunday's midnight of this machine, and weeks up", () => {
  const sunday = new Date(2026, 5, 7, 0, 30).getTime();
  assert.equal(hourOfWeek(sunday).hour, 0);
  assert.equal(hourOfWeek(new Date(2026, 5, 9, 14, 59).getTime()).hour, 2 * 24 + 14);
  const { week } = hourOfWeek(sunday);
  assert.equal(hourOfWeek(new Date(2026, 5, 13, 23, 59).getTime()).week, week);
  assert.equal(hourOfWeek(new Date(2026, 5, 14, 0, 1).getTime()).week, week + 1);
});
