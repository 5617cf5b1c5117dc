/** Requests and answers that somebody is at already, and that end sooner elsewhere. */
import assert from "node:assert/strict";
import type { OfferedModel } from "@ark/node/protocol";
import { chain, ChainBackend, type ChainScene, chainScene, readChain, readShort } from "./chain_backend.ts";
import { until } from "./scripted_peer.ts";

const BUSY = { slots: 1, free_slots: 0, queued: 2, prompt_rate: 1_000, generation_rate: 50 };
const FREE = { slots: 1, free_slots: 1, queued: 0, prompt_rate: 1_000, generation_rate: 50 };
/** Free as well, and much faster than what writes a token in 60 ms. */
const FAST = { ...FREE, prompt_rate: 100_000, generation_rate: 900 };
const SLOW = { ...FREE, prompt_rate: 2_000, generation_rate: 1_000 };
const LENGTH = 300;
const LONG = { parameters: { max_tokens: LENGTH } };

function kinds({ steps }: ChainScene): string[] {
  return steps.map((step) => "moved" in step ? "moved" : "hedge" in step ? "hedge" : step.type);
}

Deno.test("A request that waits in a line goes to one that became free, and nothing is read twice", async () => {
  const waiting = new ChainBackend("a", { fates: [{ after: 0, how: "silent" }] });
  const free = new ChainBackend("b");
  let second: Partial<OfferedModel> = { ...BUSY, queued: 4 };
  const offers = (index: number) => index === 0 ? BUSY : second;
  const scene = chainScene({ peers: [waiting, free], hedge: "off", offers });
  const answer = readChain(scene.infer());
  await until(() => waiting.running === 1);
  second = FREE;
  const { ids, error } = await answer;
  assert.deepEqual([ids, error], [chain(12), null]);
  assert.deepEqual(kinds(scene), ["ranked", "asked", "asked", "began", "ended"]);
  assert.deepEqual([waiting.running, free.requests.length], [0, 1]);
  assert.deepEqual(scene.log, []);
  assert.equal(scene.router.breakers().open, 0);
});

Deno.test("A request keeps its place in the line where the other one does not begin with it", async () => {
  const waiting = new ChainBackend("a", { fates: [{ after: 0, how: { lateMs: 3_500 } }] });
  const boasts = new ChainBackend("b", {
    fates: Array.from({ length: 9 }, () => ({ after: 0, how: "silent" as const })),
  });
  const offers = (index: number) => index === 0 ? BUSY : boasts.requests.length > 0 ? { ...BUSY, queued: 9 } : FREE;
  let began = false;
  const scene = chainScene({ peers: [waiting, boasts], hedge: "off", offers: (index) => began ? offers(index) : BUSY });
  const answer = readChain(scene.infer());
  await until(() => waiting.running === 1);
  began = true;
  const { ids, error } = await answer;
  assert.deepEqual([ids, error], [chain(12), null]);
  assert.deepEqual([waiting.requests.length, boasts.requests.length, boasts.running], [1, 1, 0]);
});

Deno.test("A request that waits stays where --move is off, and where nobody else is free", async () => {
  for (const [move, second] of [["off", FREE], ["on", { ...BUSY, queued: 3 }]] as const) {
    const waiting = new ChainBackend("a", { fates: [{ after: 0, how: { lateMs: 1_500 } }] });
    const other = new ChainBackend("b");
    const scene = chainScene({
      peers: [waiting, other],
      hedge: "off",
      move,
      offers: (index) => index === 0 ? { ...BUSY, queued: 1 } : waiting.running === 0 ? { ...BUSY, queued: 9 } : second,
    });
    assert.deepEqual((await readChain(scene.infer())).ids, chain(12));
    assert.equal(other.requests.length, 0, move);
  }
});

/** A slow one that answers, since the others say that they are full until then. */
function slowScene(fast: ChainBackend, options: { move?: "on" | "off"; slow?: ChainBackend } = {}) {
  const slow = options.slow ?? new ChainBackend("slow", { everyMs: 60 });
  const { move = "on" } = options;
  const offers = (index: number) => index === 0 ? SLOW : slow.running === 0 ? { ...BUSY, queued: 9 } : FAST;
  return { slow, scene: chainScene({ peers: [slow, fast], hedge: "off", stall: "auto", move, offers }) };
}

for (const way of ["long", "short"] as const) {
  Deno.test(`A long answer goes on at a much faster node, each token once (the ${way} way)`, async () => {
    const fast = new ChainBackend("fast");
    const { slow, scene } = slowScene(fast);
    const answer = way === "long" ? scene.infer(LONG) : readShort(scene.infer, LONG);
    const { ids, error, events } = await readChain(answer);
    assert.deepEqual([ids, error], [chain(LENGTH), null]);
    assert.deepEqual(kinds(scene), ["ranked", "asked", "began", "asked", "moved", "ended"]);
    const last = events.at(-1);
    assert.ok(last?.type === "end" && last.usage.completion_tokens === LENGTH);
    assert.deepEqual([slow.running, fast.running, scene.log], [0, 0, []]);
    assert.equal(scene.router.breakers().open, 0);
    const seen = scene.router.observations.list().map(({ observed }) => observed.successRate);
    assert.ok(seen.every((rate) => rate === 1), "Nobody failed");
  });
}

Deno.test("A long answer stays where the faster node fails, is silent, or has other weights, and none of it is lost", async () => {
  const fates = [{ after: 0, how: "unavailable" }, { after: 0, how: "busy" }, { after: 1, how: "silent" }, {
    after: 1,
    how: "cut",
  }] as const;
  await Promise.all([...fates, null].map(async (fate) => {
    const options = fate === null ? { digest: "d".repeat(64) } : { fates: [fate, fate, fate] };
    const { scene } = slowScene(new ChainBackend("fast", options), { slow: new ChainBackend("slow", { everyMs: 45 }) });
    const { ids, error } = await readChain(scene.infer(LONG));
    assert.deepEqual([ids, error], [chain(LENGTH), null], JSON.stringify(fate));
    assert.ok(!kinds(scene).includes("moved"));
  }));
});

Deno.test("An answer whose writer dies while a faster one reads goes on there all the same", async () => {
  const fast = new ChainBackend("fast", { resumeMs: 300 });
  const slow = new ChainBackend("slow", { everyMs: 60, fates: [{ after: 15, how: "cut" }] });
  const { scene } = slowScene(fast, { slow });
  assert.deepEqual((await readChain(scene.infer(LONG))).ids, chain(LENGTH));
});

Deno.test("An answer stays where --move is off, and where too little of it is left", async () => {
  for (const [move, tokens] of [["off", 40], ["on", 40]] as const) {
    const fast = new ChainBackend("fast");
    const { scene } = slowScene(fast, { move });
    assert.deepEqual((await readChain(scene.infer({ parameters: { max_tokens: tokens } }))).ids, chain(tokens));
    assert.equal(fast.requests.length, 0);
  }
});
