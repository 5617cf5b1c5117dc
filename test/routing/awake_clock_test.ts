import assert from "node:assert/strict";
import { AwakeClock } from "../../src/routing/awake_clock.ts";

/** Holds the event loop up. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end) { /* Nothing else runs. */ }
}

function turns(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test("AwakeClock calls when this node was awake for as long as that, and counts no time in which it was held up", async () => {
  const clock = new AwakeClock();
  let called = 0;
  using _wait = clock.wait(600, () => called++);
  await turns(1);
  for (let round = 0; round < 3; round++) {
    block(500);
    await turns(1);
  }
  assert.equal(called, 0, "1500 ms have passed, of which it was awake for 300 at most");
  assert.ok(clock.lostMs >= 900, `${clock.lostMs}`);
  while (called === 0) await turns(10);
  await turns(250);
  assert.equal(called, 1);
});

Deno.test("AwakeClock.wait() begins anew when it is told to, and is over when it is disposed of", async () => {
  const clock = new AwakeClock();
  const calls: string[] = [];
  const first = clock.wait(250, () => calls.push("first"));
  using _second = clock.wait(700, () => calls.push("second"));
  const third = clock.wait(100, () => calls.push("third"));
  third[Symbol.dispose]();
  while (!calls.includes("second")) {
    first.again(250);
    await turns(20);
  }
  assert.deepEqual(calls, ["second"]);
  while (calls.length < 2) await turns(10);
  first.again(1);
  await turns(250);
  assert.deepEqual(calls, ["second", "first"]);
});
