import assert from "node:assert/strict";
import { quantile, simulate } from "./simulate.ts";
import { SPEEDS, threeSpeeds } from "./three_speeds.ts";

function p95(picker: string, { seed = 1, load = 0.7 } = {}): number {
  const { times, failed } = simulate({ picker, nodes: 300, load, seed, seconds: 40 });
  assert.ok(times.length > 500 && failed <= times.length / 500, `${times.length} answers, ${failed} failed`);
  return quantile(times, 0.95);
}

Deno.test("simulate() gives the same for the same seed, and something else for another one", () => {
  const scenario = { picker: "ark-node", nodes: 60, load: 0.7, seed: 3, seconds: 20 };
  const first = simulate(scenario);
  assert.deepEqual(simulate(scenario), first);
  assert.notDeepEqual(simulate({ ...scenario, seed: 4 }).times, first.times);
});

Deno.test("The router's choice is 40 % faster in the tail than least connections", () => {
  const own = p95("ark-node");
  for (const other of ["random", "round robin", "least connections", "least conn., told"]) {
    const theirs = p95(other);
    assert.ok(own <= 0.6 * theirs, `${other}: ${Math.round(theirs)} ms, ark-node: ${Math.round(own)} ms`);
  }
});

Deno.test("The router's choice is within 15 % of an oracle that knows every answer's length, whatever the load", () => {
  for (const load of [0.5, 0.7, 0.85]) {
    let [own, best] = [0, 0];
    for (const seed of [1, 2, 3]) {
      own += p95("ark-node", { seed, load });
      best += p95("oracle + length", { seed, load });
    }
    assert.ok(own <= 1.15 * best, `oracle: ${Math.round(best / 3)} ms, ark-node: ${Math.round(own / 3)} ms at ${load}`);
  }
});

Deno.test("What waits or is long ends sooner where it may go elsewhere, for one answer in twenty that is read twice", () => {
  const scenario = { picker: "ark-node", nodes: 300, load: 0.7, seed: 1, seconds: 40 };
  const [still, moving] = [false, true].map((moves) => simulate({ ...scenario, moves }));
  assert.ok(still !== undefined && moving !== undefined);
  assert.deepEqual([still.elsewhere, still.moved], [0, 0]);
  assert.ok(moving.elsewhere > 0 && moving.moved > 0 && moving.moved <= 0.06 * moving.times.length, `${moving.moved}`);
  assert.ok(quantile(moving.times, 0.95) < 0.97 * quantile(still.times, 0.95));
});

Deno.test("Of three machines of speeds 1, 2 and 5.6 each gets what its speed deserves, and the slow one least", () => {
  const total = SPEEDS.reduce((sum, speed) => sum + speed, 0);
  const deserved = SPEEDS.map((speed) => speed / total);
  // With time to spare the fast one does nearly all; where all are needed, each does its part.
  const idle = threeSpeeds({ picker: "ark-node", load: 0.3, seed: 1 });
  assert.ok((idle.shares[2] ?? 0) > 0.85 && (idle.shares[0] ?? 1) < 0.02, idle.shares.join());
  const full = threeSpeeds({ picker: "ark-node", load: 0.95, seed: 1 });
  for (const [index, share] of full.shares.entries()) {
    assert.ok(Math.abs(share - (deserved[index] ?? 0)) < 0.05, `${full.shares} and not ${deserved}`);
  }
  for (const load of [0.3, 0.6, 0.8]) {
    const own = threeSpeeds({ picker: "ark-node", load, seed: 1 });
    const theirs = threeSpeeds({ picker: "least connections", load, seed: 1 });
    assert.ok((own.shares[2] ?? 0) >= (deserved[2] ?? 1), `${own.shares} at ${load}`);
    assert.ok(quantile(own.outcome.times, 0.95) < 0.7 * quantile(theirs.outcome.times, 0.95));
  }
});
