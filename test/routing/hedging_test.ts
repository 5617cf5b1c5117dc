import assert from "node:assert/strict";
import fc from "fast-check";
import type { InferenceEvent } from "@ark/node/protocol";
import { Observations } from "@ark/node/routing";
import { HedgeBudget, hedgeDelayMs } from "../../src/routing/hedging.ts";
import { chain, ChainBackend, chainScene, MODEL, readChain } from "./chain_backend.ts";
import { until } from "./scripted_peer.ts";

const IDLE = [{ inFlight: 0, queued: 0, slots: 4 }];

Deno.test("HedgeBudget gives one of 20 requests a second prompt, and never more than 10 of 100 in a row", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 100, maxLength: 2_000 }), (slow) => {
      const budget = new HedgeBudget();
      const hedged = slow.map((late) => {
        budget.asked();
        return late && budget.take(IDLE);
      });
      const total = hedged.filter(Boolean).length;
      assert.ok(total <= 1 + 0.05 * slow.length);
      for (let at = 0; at + 100 <= hedged.length; at++) {
        assert.ok(hedged.slice(at, at + 100).filter(Boolean).length <= 10);
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("HedgeBudget gives none above 80 % of the slots, nor where there are none", () => {
  for (
    const [inFlight, queued, slots, given] of [[3, 0, 4, true], [4, 0, 5, true], [4, 1, 5, false], [
      0,
      0,
      0,
      false,
    ]] as const
  ) {
    const budget = new HedgeBudget();
    assert.equal(budget.take([{ inFlight, queued, slots }]), given);
  }
  assert.ok(!new HedgeBudget().take([]));
});

Deno.test("hedgeDelayMs() is the p95 that was seen, else three times what is expected, and later where a model is loaded", () => {
  assert.equal(hedgeDelayMs({ p95Ms: 700, expectedMs: 9_999, loadMs: 0 }), 700);
  assert.equal(hedgeDelayMs({ p95Ms: 3, expectedMs: 1, loadMs: 0 }), 100);
  assert.equal(hedgeDelayMs({ p95Ms: null, expectedMs: 50, loadMs: 0 }), 1_000);
  assert.equal(hedgeDelayMs({ p95Ms: null, expectedMs: 2_000, loadMs: 0 }), 6_000);
  assert.equal(hedgeDelayMs({ p95Ms: 700, expectedMs: 1, loadMs: 5_000 }), 5_700);
});

/** Observations in which everybody had its first token after some milliseconds. */
function seen(ms: number): Observations {
  const observations = new Observations();
  const of = observations.of.bind(observations);
  observations.of = (key, model) => ({ ...of(key, model), firstTokenP95Ms: ms });
  return observations;
}

/** The same events; `atSecond` is called with the second text. */
async function* tapped(events: AsyncIterable<InferenceEvent>, atSecond: () => void): AsyncGenerator<InferenceEvent> {
  let texts = 0;
  for await (const event of events) {
    if (event.type === "text" && ++texts === 2) atSecond();
    yield event;
  }
}

Deno.test("Router.infer() asks a second one when the first token is later than the p95; the first token leads, and the other stops at once", async () => {
  for (const after of [0, 1]) {
    const fates = [{ after, how: "silent" as const }];
    const [slow, fast] = [new ChainBackend("a", { fates }), new ChainBackend("b", { everyMs: 5 })];
    const { infer, steps } = chainScene({ peers: [slow, fast], observations: seen(100) });
    const routes: string[] = [];
    const answer = infer({}, { chosen: ({ name, attempt }) => void routes.push(`${name} ${attempt}`) });
    const atSecond = () => assert.equal(slow.running, 0, "It stopped before the second token");
    const { ids, error } = await readChain(tapped(answer, atSecond));
    assert.deepEqual([ids, error], [chain(12), null]);
    const kinds = steps.map((step) => step.type + ("hedge" in step ? " beside" : ""));
    assert.deepEqual(kinds, ["ranked", "asked", "asked beside", "began", "ended"]);
    assert.deepEqual(routes, after === 0 ? ["peer1 1"] : ["peer0 0", "peer1 1"]);
  }
});

Deno.test("Router.infer() asks no second one before the p95, none where hedging is off", async () => {
  for (const [hedge, ms, fateMs] of [["p95", 5_000, 150], ["off", 10, 150]] as const) {
    const fates = [{ after: 0, how: { lateMs: fateMs } }];
    const peers = [new ChainBackend("a", { fates }), new ChainBackend("b", { fates })];
    const { infer, steps } = chainScene({ peers, hedge, observations: seen(ms) });
    assert.deepEqual((await readChain(infer())).ids, chain(12));
    assert.equal(steps.filter(({ type }) => type === "asked").length, 1);
  }
});

Deno.test("Router.infer() hedges no more than 1 of 20 requests in the long run, however slow all are", async () => {
  const fates = Array.from({ length: 200 }, () => ({ after: 1, how: { lateMs: 140 } }));
  const peers = [new ChainBackend("a", { fates }), new ChainBackend("b", { fates })];
  const { infer, steps } = chainScene({ peers, observations: seen(100) });
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 16 }, async () => {
      assert.equal((await readChain(infer({ parameters: { max_tokens: 1 } }))).error, null);
    }));
  }
  const hedged = steps.filter((step) => "hedge" in step).length;
  assert.ok(hedged >= 1 && hedged <= 5, `${hedged} of 80`);
});

Deno.test("Router.infer() with race:3 asks three at once, and the fastest answers", async () => {
  const peers = [300, 200, 2, 250].map((startMs, index) => new ChainBackend(`p${index}`, { startMs }));
  const { infer, steps } = chainScene({ peers, hedge: { race: 3 } });
  for (let round = 0; round < 5; round++) assert.deepEqual((await readChain(infer())).ids, chain(12));
  const asked = steps.filter(({ type }) => type === "asked").length;
  assert.equal(asked, 15);
  await until(() => peers.every(({ running }) => running === 0));
  const alone = chainScene({ peers: [new ChainBackend("only")], hedge: { race: 3 } });
  assert.deepEqual((await readChain(alone.infer())).ids, chain(12));
  const failing = [0, 1, 2, 3].map((index) =>
    new ChainBackend(`f${index}`, index === 3 ? {} : { fates: [{ after: 0, how: "unavailable" as const }] })
  );
  assert.deepEqual((await readChain(chainScene({ peers: failing, hedge: { race: 3 } }).infer())).ids, chain(12));
});

Deno.test("Router.infer() learns from every attempt how fast each one is", async () => {
  const peers = [new ChainBackend("a", { startMs: 5, everyMs: 1 })];
  const { infer, router } = chainScene({ peers });
  for (let round = 0; round < 3; round++) await readChain(infer());
  const [known] = router.observations.list();
  assert.equal(known?.model, MODEL);
  assert.equal(known?.observed.samples, 3);
  assert.ok((known?.observed.generationRate ?? 0) > 0 && known?.observed.itlMs !== null);
});
