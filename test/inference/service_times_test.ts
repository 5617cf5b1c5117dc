import assert from "node:assert/strict";
import { ServiceTimes } from "../../src/inference/service_times.ts";

Deno.test("ServiceTimes tells how long a request waits, from what answers of its model took and how many run at once", () => {
  const times = new ServiceTimes();
  assert.equal(times.waitSeconds("a", { position: 1, slots: 1 }), 5, "a guess, where nothing was measured");
  for (let answer = 0; answer < 40; answer++) times.add("a", 2_000);
  assert.equal(times.waitSeconds("a", { position: 1, slots: 1 }), 2);
  assert.equal(times.waitSeconds("a", { position: 6, slots: 1 }), 12);
  assert.equal(times.waitSeconds("a", { position: 6, slots: 4 }), 4);
  for (let answer = 0; answer < 40; answer++) times.add("a", 10);
  assert.equal(times.waitSeconds("a", { position: 1, slots: 1 }), 1, "it follows what is measured, and is never 0");
  times.add("b", 1e9);
  assert.equal(times.waitSeconds("b", { position: 9, slots: 1 }), 600);
});

Deno.test("ServiceTimes forgets models that were not used for long", () => {
  const times = new ServiceTimes();
  times.add("first", 60_000);
  for (let model = 0; model < 64; model++) times.add(`m${model}`, 1_000);
  assert.equal(times.waitSeconds("first", { position: 1, slots: 1 }), 5);
  assert.equal(times.waitSeconds("m0", { position: 1, slots: 1 }), 1);
});
