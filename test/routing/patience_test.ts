import assert from "node:assert/strict";
import { startPatience } from "../../src/routing/patience.ts";

Deno.test("startPatience() calls once when its time has passed, and not after it was disposed of", async () => {
  let calls = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  using _patience = startPatience(() => {
    calls++;
    resolve();
  }, 16);
  startPatience(() => assert.fail(), 16)[Symbol.dispose]();
  await promise;
  await new Promise((done) => setTimeout(done, 40));
  assert.equal(calls, 1);
});

Deno.test("startPatience() does not count the time in which this node itself stood still", async () => {
  let over = false;
  using _patience = startPatience(() => over = true, 160);
  // For more than the whole time nothing is heard that may be there.
  for (const until = performance.now() + 400; performance.now() < until;);
  await new Promise((done) => setTimeout(done, 0));
  assert.ok(!over);
  while (!over) await new Promise((done) => setTimeout(done, 5));
});
