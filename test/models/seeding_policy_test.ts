import assert from "node:assert/strict";
import fc from "fast-check";
import { loadConfig } from "@ark/node/config";
import { SeedingPolicy } from "@ark/node/models";

/** A time of some day by this machine's own clock. */
function at(hour: number, minute = 0): Date {
  return new Date(2026, 4, 17, hour, minute);
}

Deno.test("SeedingPolicy gives everything at all times unless the owner says otherwise", () => {
  fc.assert(fc.property(fc.string(), fc.date({ noInvalidDate: true }), (model, now) => {
    assert.ok(new SeedingPolicy().mayServe(model, now) === true);
  }));
});

Deno.test("SeedingPolicy gives the models that the owner named, and says so of others", () => {
  const policy = new SeedingPolicy({ models: ["Llama*", "qwen:7b"], hours: null });
  for (const model of ["llama3.1:8b", "LLAMA:x", "qwen:7b"]) assert.ok(policy.mayServe(model, at(12)) === true);
  for (const model of ["qwen:14b", "codellama:7b", ""]) {
    assert.equal(policy.mayServe(model, at(12)), "This node does not give that model to others");
  }
});

Deno.test("SeedingPolicy keeps to its hours, also over midnight", () => {
  const hours = (from: number, until: number) => new SeedingPolicy({ models: null, hours: { from, until } });
  const night = hours(22 * 60, 7 * 60);
  for (const now of [at(22), at(23, 59), at(0), at(6, 59)]) assert.ok(night.mayServe("m", now) === true);
  for (const now of [at(7), at(12), at(21, 59)]) {
    assert.equal(night.mayServe("m", now), "This node gives models from 22:00 to 07:00 by its own clock");
  }
  fc.assert(fc.property(fc.nat(1_439), fc.nat(1_439), fc.nat(1_439), (from, until, minute) => {
    const now = at(Math.floor(minute / 60), minute % 60);
    const [one, other] = [hours(from, until).mayServe("m", now), hours(until, from).mayServe("m", now)];
    assert.equal((one === true) !== (other === true), from !== until, "What the one gives the other does not");
  }));
});

Deno.test("loadConfig() refuses hours that are none", async () => {
  const load = (hours: string) =>
    loadConfig({ flags: { "seed-hours": hours }, env: (name) => name === "ARK_DATA" ? "/srv/ark" : undefined });
  for (const bad of ["", "22", "22-", "-7", "25-7", "22:60-7", "22-7-9", "a-b", "22--7", "24:01-1"]) {
    await assert.rejects(load(bad), { name: "ConfigError", message: /such as 22-7/ });
  }
  assert.deepEqual((await load("0-24")).seeding.hours, { from: 0, until: 0 });
});
