import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { nextBeat } from "@ark/node/telemetry";

const EVERY_MS = 400;
/** A timer may fire so much too early, in milliseconds. */
const EARLY_MS = 2;

Deno.test("nextBeat() ends at a multiple of its distance, and not that long after it began", async () => {
  const { signal } = new AbortController();
  // Far enough from a beat on both sides, on however busy a machine.
  while (performance.now() % EVERY_MS < 50 || performance.now() % EVERY_MS > 250) await pause(20);
  const began = performance.now();
  const ends = [
    nextBeat(EVERY_MS, { signal }).then(() => "beat"),
    // In between these two lies what would be counted from now on.
    pause(EVERY_MS - (began % EVERY_MS) + 40).then(() => "timer"),
  ];
  assert.equal(await Promise.race(ends), "beat");
  assert.ok(
    performance.now() + EARLY_MS >= (Math.floor(began / EVERY_MS) + 1) * EVERY_MS,
    "It ended before the beat",
  );
  await Promise.all(ends);
});

Deno.test("nextBeat() after a beat waits for another one, also where the timer fired a little early", async () => {
  const { signal } = new AbortController();
  const beats: number[] = [];
  for (let i = 0; i < 20; i++) {
    await nextBeat(40, { signal });
    beats.push(Math.round(performance.now() / 40));
  }
  assert.equal(new Set(beats).size, beats.length, `${beats}`);
});

Deno.test("nextBeat() ends with its signal, and never rejects", async () => {
  const stop = new AbortController();
  const waiting = nextBeat(3_600_000, { signal: stop.signal });
  stop.abort();
  await waiting;
  await nextBeat(3_600_000, { signal: stop.signal });
});
