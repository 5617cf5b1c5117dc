/** Pausing on the command line. */
import assert from "node:assert/strict";
import type { SharingDetails } from "@ark/node/http";
import { pauseWish } from "../../src/cli/pause_length.ts";
import { TestNode } from "../mesh/test_node.ts";
import { runMain } from "./run_main.ts";

Deno.test("pauseWish() reads times, moments, and nothing else", () => {
  const now = new Date(2026, 10, 20, 17, 30);
  assert.deepEqual(pauseWish([], now), {});
  assert.deepEqual(
    [pauseWish(["1h"], now), pauseWish(["30m"], now), pauseWish(["2d"], now), pauseWish(["45min"], now)],
    [
      { for_s: 3_600 },
      { for_s: 1_800 },
      { for_s: 172_800 },
      { for_s: 2_700 },
    ],
  );
  const at = (...parts: [number, number, number]) => ({ until: new Date(2026, 10, ...parts).toISOString() });
  assert.deepEqual(pauseWish(["until", "18:00"], now), at(20, 18, 0));
  // What is over for today is meant for tomorrow.
  assert.deepEqual(pauseWish(["until", "7"], now), at(21, 7, 0));
  assert.deepEqual(pauseWish(["until", "tomorrow"], now), at(21, 7, 0));
  const wrong = [["soon"], ["0h"], ["1"], ["-1h"], ["1h", "30m"], ["until"], ["until", "25:00"], ["until", "7:60"], [
    "999999d",
  ]];
  for (const words of wrong) assert.throws(() => pauseWish(words, now), { name: "UsageError" }, words.join(" "));
});

Deno.test("pause, status and resume say how sharing stands", async () => {
  await using node = await TestNode.start({ name: "N" });
  const run = (...args: string[]) => runMain([...args, "--data", node.data]);
  assert.match((await run("status")).stdout, /^ {2}sharing Neighbours may use this node, as you approved them$/m);
  const paused = await run("pause", "1h");
  assert.equal(paused.code, 0, paused.stderr);
  assert.match(paused.stdout, /^Sharing is paused until (\w+ at )?\d\d:\d\d\.$/m);
  assert.match((await run("status")).stdout, /^ {2}sharing Sharing is paused until/m);
  const { state } = JSON.parse((await run("pause", "--json")).stdout) as SharingDetails;
  assert.equal(state, "paused");
  assert.equal((await run("resume")).stdout, "Neighbours may use this node, as you approved them.\n");
  assert.equal((await run("resume", "Dave")).code, 2);
  assert.equal((await run("pause", "for", "ever")).code, 2);
  assert.equal((await run("wake")).code, 2);
});

Deno.test("Every call about sharing needs the admin token", async () => {
  await using node = await TestNode.start({ name: "N" });
  for (
    const [path, method] of [["/sharing", "GET"], ["/sharing/pause", "POST"], ["/sharing/resume", "POST"], [
      "/peers/wake",
      "POST",
    ]]
  ) {
    const response = await fetch(`${node.api}${path}`, { method: method ?? "GET" });
    await response.body?.cancel();
    assert.equal(response.status, 401, path);
  }
});
