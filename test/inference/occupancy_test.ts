import assert from "node:assert/strict";
import { occupancyOf, type Occupied } from "../../src/inference/occupancy.ts";
import type { ResidentModel } from "../../src/inference/schedule.ts";

function resident(id: string, state: Partial<ResidentModel> = {}): Occupied["residents"][number] {
  const idle = { slots: 4, owners: 0, peers: 0, yielding: 0, lastUsed: 0, pinned: false, kept: false, bytes: 1 };
  return { model: { id }, state: { key: id, phase: "ready", ...idle, ...state } };
}

function waits(id: string, priority: "owner" | "peer"): Occupied["waiting"][number] {
  return { model: { id }, priority };
}

function told(parts: Partial<Occupied>) {
  const { ownersTurn, models } = occupancyOf({ residents: [], waiting: [], coldSlots: 4, ...parts });
  return [ownersTurn, ...[...models].map(([id, { slots, free, queued }]) => `${id} ${free}/${slots} +${queued}`)];
}

Deno.test("occupancyOf() leaves the owner a slot, and counts who runs and who waits", () => {
  assert.deepEqual(told({}), [false]);
  assert.deepEqual(told({ residents: [resident("a")] }), [false, "a 3/3 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { peers: 2 })] }), [false, "a 1/3 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { owners: 1, peers: 2 })] }), [false, "a 1/3 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { peers: 1, yielding: 2 })] }), [false, "a 0/3 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { slots: 1 })] }), [false, "a 1/1 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { phase: "loading" })], waiting: [waits("a", "peer")] }), [
    false,
    "a 2/3 +1",
  ]);
  assert.deepEqual(told({ residents: [resident("a", { phase: "leaving" })] }), [false]);
  assert.deepEqual(told({ waiting: [waits("b", "peer"), waits("b", "peer")] }), [false, "b 1/3 +2"]);
});

Deno.test("occupancyOf() says that it is the owner's turn where peers have to wait for the owner", () => {
  assert.deepEqual(told({ residents: [resident("a", { owners: 4 })] }), [true, "a 0/3 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { slots: 1, owners: 1 })] }), [true, "a 0/1 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { owners: 4 }), resident("b")] }), [false, "a 0/3 +0", "b 3/3 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { peers: 3 })] }), [false, "a 0/3 +0"]);
  assert.deepEqual(told({ residents: [resident("a", { peers: 1 })], waiting: [waits("a", "owner")] }), [
    true,
    "a 0/3 +1",
  ]);
  assert.deepEqual(told({ waiting: [waits("c", "owner")] }), [true, "c 0/3 +1"]);
});
