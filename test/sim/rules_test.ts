import assert from "node:assert/strict";
import { hedges, stalls } from "./rules.ts";
import { quantile } from "./simulate.ts";

Deno.test("The stall rule fails over one stream in a thousand for nothing on a link with hiccups, where 50 ms fails over nearly half", () => {
  for (const seed of [1, 2, 3]) {
    const own = stalls({ streams: 20_000, seed, setting: "auto" });
    assert.ok(own.spurious <= 0.001, `${own.spurious} with seed ${seed}`);
    // With 0.3 s to read a thousand tokens that is a gap of less than two seconds.
    assert.ok(own.gaps.length > 500 && quantile(own.gaps, 0.95) <= 1_600, `${quantile(own.gaps, 0.95)}`);
  }
  assert.ok(stalls({ streams: 2_000, seed: 1, setting: 50 }).spurious > 0.4);
});

Deno.test("Hedging takes most of the latest first tokens away for one prompt in twenty that is read twice", () => {
  const without = hedges({ requests: 50_000, seed: 1, off: true });
  const own = hedges({ requests: 50_000, seed: 1, off: false });
  assert.ok(quantile(own.times, 0.99) < quantile(without.times, 0.99) / 2);
  assert.ok(own.extra <= 0.0501 && own.extra > 0.02, `${own.extra}`);
  assert.ok(own.mostOf100 <= 10, `${own.mostOf100}`);
  assert.equal(without.extra, 0);
});
