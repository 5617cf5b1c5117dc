import assert from "node:assert/strict";
import { EnergyHistory } from "@ark/node/telemetry";

const MINUTE = 60_000;

function history() {
  let now = 100 * MINUTE;
  const energy = new EnergyHistory({ now: () => now, steps: 3 });
  return { energy, at: (time: number) => void (now = time) };
}

Deno.test("EnergyHistory tells nothing where no power was ever known", () => {
  const { energy } = history();
  energy.tokens(1_000);
  assert.equal(energy.shown(), null);
});

Deno.test("EnergyHistory tells watts of each minute, and joules for each token of those that are over", () => {
  const { energy, at } = history();
  for (let part = 0; part < 6; part++) {
    at(100 * MINUTE + part * 10_000);
    energy.power({ watts: part < 3 ? 50 : 150, of: "processor", ms: 10_000 });
    energy.tokens(10);
  }
  assert.deepEqual(energy.shown()?.samples, [{ at: 100 * MINUTE, watts: 100, joules_per_token: null }]);
  at(101 * MINUTE);
  energy.power({ watts: 30, of: "processor", ms: 10_000 });
  assert.deepEqual(energy.shown(), {
    step_ms: MINUTE,
    of: "processor",
    samples: [
      { at: 100 * MINUTE, watts: 100, joules_per_token: 100 },
      { at: 101 * MINUTE, watts: 30, joules_per_token: null },
    ],
  });
});

Deno.test("EnergyHistory tells no joules of a minute that was known in part, or had few tokens", () => {
  const { energy, at } = history();
  energy.power({ watts: 50, of: "gpu", ms: 20_000 });
  energy.tokens(1_000);
  at(101 * MINUTE);
  energy.power({ watts: 50, of: "gpu", ms: 60_000 });
  energy.tokens(19);
  at(102 * MINUTE);
  assert.deepEqual(energy.shown()?.samples.map((one) => one.joules_per_token), [null, null]);
});

Deno.test("EnergyHistory forgets what is old, and what was of other parts; a clock set back begins no step twice", () => {
  const { energy, at } = history();
  for (let minute = 0; minute < 9; minute++) {
    at((100 + minute) * MINUTE);
    energy.power({ watts: minute, of: "machine", ms: 1_000 });
  }
  assert.deepEqual(energy.shown()?.samples.map(({ watts }) => watts), [6, 7, 8]);
  at(90 * MINUTE);
  energy.power({ watts: 8, of: "machine", ms: 1_000 });
  assert.deepEqual(energy.shown()?.samples.map(({ watts }) => watts), [6, 7, 8]);
  energy.power({ watts: 1, of: "processor", ms: 1_000 });
  assert.deepEqual(energy.shown()?.samples.map(({ watts }) => watts), [1]);
});
