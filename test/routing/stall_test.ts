import assert from "node:assert/strict";
import fc from "fast-check";
import { LinkGaps } from "../../src/routing/link_gaps.ts";
import { StallRule } from "../../src/routing/stall_rule.ts";
import { StallWatch } from "../../src/routing/stall_watch.ts";
import { chain, ChainBackend, chainScene, readChain } from "./chain_backend.ts";
import { until } from "./scripted_peer.ts";

Deno.test("StallRule is clamp(8 x mean + 4 x deviation, 0.75 s, 3 s), smoothed with 1/8 and 1/4", () => {
  const rule = new StallRule();
  assert.equal(rule.thresholdMs, 3_000, "Nothing is known yet");
  rule.note(100);
  assert.equal(rule.thresholdMs, 8 * 100 + 4 * 50);
  rule.note(200);
  const mean = 100 + 100 / 8;
  const deviation = 50 + (100 - 50) / 4;
  assert.equal(rule.thresholdMs, 8 * mean + 4 * deviation);
  fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true })), (waits) => {
    const any = new StallRule();
    for (const ms of waits) any.note(ms);
    assert.ok(any.thresholdMs >= 750 && any.thresholdMs <= 3_000);
  }));
});

Deno.test("StallRule begins with what earlier answers told, and takes a time that is set as it is", () => {
  assert.equal(new StallRule({ prior: { meanMs: 100, deviationMs: 100 } }).thresholdMs, 1_200);
  assert.equal(new StallRule({ leastMs: 2_000, prior: { meanMs: 1, deviationMs: 1 } }).thresholdMs, 2_000);
  const fixed = new StallRule({ setting: 50, leastMs: 3_000 });
  fixed.note(1e4);
  assert.equal(fixed.thresholdMs, 50);
  assert.equal(new StallRule({ setting: "off" }).thresholdMs, Infinity);
});

Deno.test("StallRule takes twice the longest silence of late on the same link for none, up to 1.6 s, and forgets it", () => {
  let now = 0;
  const gaps = new LinkGaps({ clock: () => now });
  const prior = { meanMs: 25, deviationMs: 5 };
  const rule = (key: string) => new StallRule({ prior, link: gaps.of(key) });
  const [one, other] = [rule("one"), rule("other")];
  one.note(99);
  assert.equal(rule("one").thresholdMs, 750, "That is no silence");
  other.note(600);
  // Another stream on the same link, and none on another one.
  assert.equal(rule("other").thresholdMs, 1_200);
  assert.equal(rule("one").thresholdMs, 750);
  other.note(1e6);
  assert.equal(rule("other").thresholdMs, 1_600);
  one.note(500);
  now += 1_800_000;
  assert.equal(rule("one").thresholdMs, 750);
  one.note(420);
  assert.equal(rule("one").thresholdMs, 840, "It is longer than what is left of the one before");
  for (let count = 0; count < 2_000; count++) gaps.of(`peer ${count}`).note(500);
  assert.equal(gaps.of("other").slowestMs, 0, "So many are remembered");
  assert.equal(gaps.of("peer 1999").slowestMs, 500);
});

/** A normal number, by Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Mulberry32: the same numbers each time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

Deno.test("StallRule seldom takes a healthy stream on a noisy link for stalled, where 50 ms do that to half of them", () => {
  const random = seeded(5);
  const streams = 5_000;
  const stalled = { rule: 0, changed: 0, fixed: 0 };
  for (let stream = 0; stream < streams; stream++) {
    const [rule, fixed] = [new StallRule(), new StallRule({ setting: 50 })];
    const seen = { rule: false, changed: false, fixed: false };
    // 40 tokens a second with 25 % jitter; of 1,000 tokens 2 have a hiccup of 150 ms in the mean.
    for (let token = 0; token < 300; token++) {
      const hiccup = random() < 0.002 ? -150 * Math.log(1 - random()) : 0;
      const ms = Math.max(0, 25 * (1 + 0.25 * normal(random))) + hiccup;
      seen.rule ||= ms >= rule.thresholdMs;
      // The second node is asked at the threshold, and begins 0.3 s later: until then the first one may come back.
      seen.changed ||= ms >= rule.thresholdMs + 300;
      seen.fixed ||= ms >= fixed.thresholdMs;
      rule.note(ms);
    }
    for (const name of ["rule", "changed", "fixed"] as const) if (seen[name]) stalled[name]++;
  }
  const shares = JSON.stringify(stalled);
  assert.ok(stalled.rule <= 0.006 * streams, shares);
  assert.ok(stalled.changed <= 0.001 * streams, shares);
  assert.ok(stalled.fixed > 0.3 * streams, shares);
});

/** A watch that writes down what it tells. */
function watched(setting: number, goesOn: () => boolean = () => true): { watch: StallWatch; told: string[] } {
  const told: string[] = [];
  const watch = new StallWatch(new StallRule({ setting }), {
    half: () => void told.push("half"),
    stalled: () => {
      told.push("stalled");
      return goesOn();
    },
  });
  return { watch, told };
}

Deno.test("StallWatch tells of half a stall, then of a stall, once each", async () => {
  const { watch, told } = watched(40);
  using _watch = watch;
  watch.wait();
  await until(() => told.length === 2);
  assert.deepEqual(told, ["half", "stalled"]);
});

Deno.test("StallWatch asks again where nobody could go on, and is silent when the next event came", async () => {
  let asked = 0;
  const { watch, told } = watched(15, () => ++asked === 3);
  using _watch = watch;
  watch.wait();
  await until(() => asked === 3);
  assert.ok(told.filter((one) => one === "half").length >= 1);
  watch.rest();
  const before = told.length;
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(told.length, before);
});

Deno.test("StallWatch does not count time in which nothing is waited for, nor time in which this process did not run", async () => {
  const { watch, told } = watched(200);
  using _watch = watch;
  watch.wait();
  watch.rest();
  // A reader of ours that takes its time.
  await new Promise((resolve) => setTimeout(resolve, 260));
  assert.equal(told.length, 0);
  watch.wait();
  const began = performance.now();
  while (performance.now() - began < 600);
  // What arrived while nothing ran is read in the next turn of the loop.
  await new Promise((resolve) => setTimeout(resolve, 0));
  watch.rest();
  assert.ok(!told.includes("stalled"), told.join());
});

Deno.test("StallWatch leaves no timer behind, and sets none for an event", () => {
  const { watch } = watched(1_000);
  const set = globalThis.setTimeout;
  let timers = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof set>) => {
    timers++;
    return set(...args);
  }) as typeof set;
  try {
    for (let event = 0; event < 10_000; event++) {
      watch.wait();
      watch.rest();
    }
  } finally {
    globalThis.setTimeout = set;
    watch[Symbol.dispose]();
  }
  assert.equal(timers, 1);
});

Deno.test("A slow reader makes nobody fail over", async () => {
  const peers = [new ChainBackend("a", { everyMs: 1 }), new ChainBackend("b", { everyMs: 1 })];
  const { infer, steps } = chainScene({ peers, stall: 30 });
  async function* slowly(): AsyncGenerator<import("@ark/node/protocol").InferenceEvent> {
    for await (const event of infer({ parameters: { max_tokens: 4 } })) {
      await new Promise((resolve) => setTimeout(resolve, 80));
      yield event;
    }
  }
  assert.deepEqual((await readChain(slowly())).ids, chain(4));
  assert.deepEqual(steps.map(({ type }) => type), ["ranked", "asked", "began", "ended"]);
});

Deno.test("A stall is waited out where nobody else has the weights", async () => {
  const fates = [{ after: 3, how: { lateMs: 120 } }];
  const others = [new ChainBackend("b", { digest: "0e".repeat(32) })];
  const peers = [new ChainBackend("a", { fates })];
  const { infer, steps } = chainScene({ peers, stall: 20 });
  assert.deepEqual((await readChain(infer())).ids, chain(12));
  assert.deepEqual(steps.map(({ type }) => type), ["ranked", "asked", "began", "ended"]);
  const both = chainScene({ peers: [...others, new ChainBackend("a", { fates })], stall: 20 });
  assert.deepEqual((await readChain(both.infer())).ids, chain(12));
  assert.ok(!both.steps.some(({ type }) => type === "failed"));
});

Deno.test("At half of a stall a second node reads what was written, and is stopped when the first goes on", async () => {
  const fates = [{ after: 4, how: { lateMs: 400 } }];
  const peers = [new ChainBackend("a", { fates }), new ChainBackend("b")];
  const { infer, steps } = chainScene({ peers, stall: 600 });
  const { ids, error } = await readChain(infer());
  assert.deepEqual([ids, error], [chain(12), null]);
  const kinds = steps.map((step) => step.type + ("hedge" in step ? " beside" : ""));
  assert.deepEqual(kinds, ["ranked", "asked", "began", "asked beside", "ended"]);
  await until(() => peers.every(({ running }) => running === 0));
  const [prepared] = peers.flatMap(({ requests }) => requests.filter(({ resume }) => resume !== undefined));
  assert.ok(prepared !== undefined);
});

Deno.test("A silence that is over before a second node has begun changes nothing", async () => {
  const fates = [{ after: 4, how: { lateMs: 60 } }];
  // Whoever is to go on takes longer than the silence lasts.
  const peers = [new ChainBackend("a", { fates }), new ChainBackend("b", { resumeMs: 5_000 })];
  const { infer, steps } = chainScene({ peers, stall: 20 });
  assert.deepEqual((await readChain(infer())).ids, chain(12));
  assert.ok(steps.some((step) => "hedge" in step), "A second one was asked");
  assert.ok(!steps.some(({ type }) => type === "failed" || type === "continued"));
  await until(() => peers.every(({ running }) => running === 0));
});

Deno.test("Nobody reads a prompt before it is a stall where hedging is off", async () => {
  const fates = [{ after: 4, how: "silent" as const }];
  const peers = [new ChainBackend("a", { fates }), new ChainBackend("b")];
  const { infer, steps } = chainScene({ peers, stall: 60, hedge: "off" });
  const began = performance.now();
  assert.deepEqual((await readChain(infer())).ids, chain(12));
  const asked = steps.filter((step) => step.type === "asked" && step.hedge === true);
  // At the threshold it is no hedge any more, but the only way on.
  assert.ok(asked.every(({ ms }) => ms >= 55) && performance.now() - began >= 55);
});
