import assert from "node:assert/strict";
import { startWatchdog } from "../../src/routing/watchdog.ts";

Deno.test("startWatchdog() calls once when nobody wakes it", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  using watchdog = startWatchdog(() => {
    calls++;
    resolve();
  }, 20);
  assert.ok(!watchdog.barked);
  await promise;
  assert.deepEqual([watchdog.barked, calls], [true, 1]);
});

Deno.test("startWatchdog() counts from the last time that it was woken", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  using watchdog = startWatchdog(resolve, 40);
  let woken = performance.now();
  for (let round = 0; round < 8; round++) {
    await new Promise((done) => setTimeout(done, 10));
    // A machine that is busy may let it go beyond its time: then there is nothing to learn here.
    if (watchdog.barked) return;
    woken = performance.now();
    watchdog.wake(40);
  }
  await promise;
  // A timer may be early by the fraction of a millisecond that it does not count.
  assert.ok(performance.now() - woken >= 39);
});

Deno.test("startWatchdog() is patient while it rests, and hurries for a shorter time", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  using watchdog = startWatchdog(resolve, 15);
  watchdog.rest();
  await new Promise((done) => setTimeout(done, 60));
  assert.ok(!watchdog.barked);
  watchdog.wake(3_600_000);
  watchdog.wake(5);
  await promise;
  assert.ok(watchdog.barked);
});

Deno.test("startWatchdog() leaves no timer behind", () => {
  using _watchdog = startWatchdog(() => assert.fail(), 3_600_000);
});
