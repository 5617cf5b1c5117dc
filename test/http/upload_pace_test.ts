import assert from "node:assert/strict";
import { UploadPace } from "@ark/node/http";
import { FakeTime } from "./fake_time.ts";

const NEVER = new AbortController().signal;

/** Lets time pass, and everything happen that belongs there, promises included. */
async function pass(time: FakeTime, ms: number): Promise<void> {
  const end = time.now + ms;
  do await settled(); while (time.next(end));
  time.now = end;
}

/** Lets all promises go on that can. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.resolve();
}

/** Somebody who takes pieces as fast as he gets them, or with a pause after each. */
function taker(
  pace: UploadPace,
  { peer, time, perSecond = Infinity, signal = NEVER }: {
    peer: string;
    time: FakeTime;
    perSecond?: number;
    signal?: AbortSignal;
  },
): { bytes: number } {
  const took = { bytes: 0 };
  const run = async () => {
    for (;;) {
      const piece = pace.pieceBytes;
      await pace.take(peer, piece, signal);
      took.bytes += piece;
      if (perSecond < Infinity) await new Promise<void>((resolve) => time.later(resolve, 1_000 * piece / perSecond));
    }
  };
  run().catch(() => {});
  return took;
}

function about(actual: number, expected: number, share = 0.02): void {
  assert.ok(Math.abs(actual - expected) <= share * expected, `${actual} is not about ${expected}`);
}

function paceOf(options: { limit: number | null; working?: () => boolean }): { pace: UploadPace; time: FakeTime } {
  const time = new FakeTime();
  const pace = new UploadPace({ working: () => false, ...options, now: () => time.now, later: time.later });
  return { pace, time };
}

for (const limit of [16_000, 1_000_000, 30_000_000, 125_000_000]) {
  Deno.test(`UploadPace lets as much go as its limit of ${limit} bytes a second says, to one as to four`, async () => {
    for (const peers of [1, 4]) {
      const { pace, time } = paceOf({ limit });
      const stop = new AbortController();
      const takers = Array.from({ length: peers }, (_, index) => {
        return taker(pace, { peer: `p${index}`, time, signal: stop.signal });
      });
      const seconds = Math.max(4, 4_000_000 / limit);
      await pass(time, 1_000 * seconds);
      about(takers.reduce((sum, { bytes }) => sum + bytes, 0), limit * seconds, 0.03);
      stop.abort();
      await settled();
      assert.equal(time.waiting, 0, "Nothing is left of those who went away");
    }
  });
}

Deno.test("UploadPace gives each peer the same share, however many connections it has", async () => {
  const { pace, time } = paceOf({ limit: 12_000_000 });
  const stop = new AbortController();
  const options = { time, signal: stop.signal };
  const one = taker(pace, { peer: "one", ...options });
  const eight = Array.from({ length: 8 }, () => taker(pace, { peer: "eight", ...options }));
  const three = Array.from({ length: 3 }, () => taker(pace, { peer: "three", ...options }));
  await pass(time, 10_000);
  const sum = (takers: { bytes: number }[]) => takers.reduce((all, { bytes }) => all + bytes, 0);
  about(one.bytes, 40_000_000);
  about(sum(eight), 40_000_000);
  about(sum(three), 40_000_000);
  stop.abort();
  await settled();
});

Deno.test("UploadPace gives what a slow peer does not take to the others", async () => {
  const { pace, time } = paceOf({ limit: 10_000_000 });
  const stop = new AbortController();
  const options = { time, signal: stop.signal };
  const slow = taker(pace, { peer: "slow", perSecond: 1_000_000, ...options });
  const [a, b] = [taker(pace, { peer: "a", ...options }), taker(pace, { peer: "b", ...options })];
  await pass(time, 10_000);
  // It waits for its turn before each piece, with one connection.
  about(slow.bytes, 9_000_000, 0.1);
  about(a.bytes, 45_500_000, 0.03);
  about(b.bytes, 45_500_000, 0.03);
  stop.abort();
  await settled();
});

Deno.test("UploadPace holds nobody back without a limit, and while a model works leaves a quarter, and never much", async () => {
  let works = false;
  const { pace, time } = paceOf({ limit: null, working: () => works });
  const stop = new AbortController();
  const some = taker(pace, { peer: "some", time, perSecond: 20_000_000, signal: stop.signal });
  assert.equal(pace.rate, null);
  await pass(time, 5_000);
  about(some.bytes, 100_000_000);
  works = true;
  // A quarter of what went through before.
  about(pace.rate ?? 0, 5_000_000, 0.15);
  const rate = pace.rate ?? 0;
  const before = some.bytes;
  await pass(time, 10_000);
  about(some.bytes - before, 10 * rate, 0.1);
  works = false;
  const after = some.bytes;
  await pass(time, 5_000);
  about(some.bytes - after, 100_000_000, 0.05);
  stop.abort();
  await settled();
});

Deno.test("UploadPace leaves a quarter of its limit to peers while a model works, and at most eight megabytes a second", () => {
  const rateOf = (limit: number | null) => paceOf({ limit, working: () => true }).pace.rate;
  assert.equal(rateOf(4_000_000), 1_000_000);
  assert.equal(rateOf(1_000_000_000), 8_000_000);
  assert.equal(rateOf(null), 8_000_000);
});

Deno.test("UploadPace.take() rejects for who is gone, who goes, and lets the others pass", async () => {
  const { pace, time } = paceOf({ limit: 100_000 });
  const gone = new AbortController();
  gone.abort(new Error("gone"));
  await assert.rejects(pace.take("a", 1, gone.signal), /gone/);
  const goes = new AbortController();
  const waits = assert.rejects(pace.take("a", 100_000, goes.signal), /goes/);
  const other = pace.take("b", 10, NEVER);
  goes.abort(new Error("goes"));
  await waits;
  await pass(time, 1_000);
  await other;
  assert.equal(time.waiting, 0);
});
