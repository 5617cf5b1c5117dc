import assert from "node:assert/strict";
import { History } from "@ark/node/telemetry";

Deno.test("History sums up what ended in each step, with the median of the first tokens", () => {
  let now = 1_000_003;
  const history = new History({ stepMs: 1_000, steps: 10, now: () => now });
  for (const firstTokenMs of [30, 10, 20]) history.note({ ok: true, tokens: 5, firstTokenMs });
  history.note({ ok: false, tokens: 0, firstTokenMs: null });
  now += 2_000;
  history.note({ ok: true, tokens: 7, firstTokenMs: null });
  assert.deepEqual(history.shown().samples, [
    { at: 1_000_000, requests: 4, failed: 1, tokens: 15, first_token_ms: 20 },
    { at: 1_002_000, requests: 1, failed: 0, tokens: 7, first_token_ms: null },
  ]);
});

Deno.test("History forgets what is older than its steps, and takes a clock that was set back", () => {
  let now = 0;
  const history = new History({ stepMs: 1_000, steps: 3, now: () => now });
  for (; now < 10_000; now += 1_000) history.note({ ok: true, tokens: 1, firstTokenMs: 1 });
  assert.deepEqual(history.shown().samples.map(({ at }) => at), [7_000, 8_000, 9_000]);
  now = 5_000;
  history.note({ ok: true, tokens: 1, firstTokenMs: 1 });
  assert.equal(history.shown().samples.at(-1)?.requests, 2);
  now = 60_000;
  assert.deepEqual(history.shown().samples, []);
});
