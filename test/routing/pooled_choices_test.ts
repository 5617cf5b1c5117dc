import assert from "node:assert/strict";
import type { Backend } from "@ark/node/inference";
import type { Choice } from "../../src/routing/choices.ts";
import { PooledChoices } from "../../src/routing/pooled_choices.ts";

const DEMAND = { promptTokens: 500, answerTokens: 200 };
const backend: Backend = { name: "", handles: () => true, infer: () => assert.fail() };

function choice(key: string, fields: Partial<Choice> = {}): Choice {
  return {
    key,
    name: key,
    local: false,
    loaded: true,
    inFlight: 0,
    slots: 1,
    queued: 0,
    free: 1,
    roundTripMs: 5,
    promptRate: 500,
    generationRate: 20,
    loadMs: null,
    successRate: 1,
    backend,
    peer: key,
    upstream: false,
    model: "m:1b",
    digest: null,
    claim: {},
    ...fields,
  };
}

function opened(count: number, { lookMs = 0 } = {}) {
  let now = 0;
  let looks = 0;
  const all = new Map<string, Choice>();
  const revoked = new Set<string>();
  for (let index = 0; index < count; index++) {
    all.set(`${index}`, choice(`${index}`, { generationRate: 10 + index / 10 }));
  }
  all.set("local", choice("local", { local: true, peer: null, generationRate: 1 }));
  const pooled = new PooledChoices({
    choices: {
      of: (_, { localOnly = false } = {}) => {
        looks++;
        now += lookMs;
        return [...all.values()].filter(({ local }) => local || !localOnly);
      },
    },
    mayAsk: ({ key }) => !revoked.has(key),
    clock: () => now,
  });
  const of = ({ localOnly = false, cachedBy = [] }: { localOnly?: boolean; cachedBy?: string[] } = {}) =>
    pooled.of("m:1b", { localOnly, demand: { ...DEMAND, cachedBy } });
  return { all, revoked, pooled, of, looks: () => looks, wait: (ms: number) => void (now += ms) };
}

Deno.test("PooledChoices looks at all anew where few have the model", () => {
  const { of, looks } = opened(200);
  assert.equal(of().length, 201);
  assert.equal(of().length, 201);
  assert.equal(looks(), 2);
});

Deno.test("PooledChoices gives some of the best where very many have the model, this node, and who has the prompt", () => {
  const { of, looks } = opened(5_000);
  for (let turn = 0; turn < 20; turn++) {
    const keys = of({ cachedBy: ["17", "gone"] }).map(({ key }) => key);
    assert.ok(keys.length === 10 && keys.includes("local") && keys.includes("17"), keys.join());
    for (const key of keys) assert.ok(Number(key) > 4_000 || key === "local" || key === "17", key);
  }
  assert.equal(looks(), 1);
  assert.deepEqual(of({ localOnly: true }).map(({ key }) => key), ["local"]);
});

Deno.test("PooledChoices never gives one that may not be asked any more, and sees what is new after half a second", () => {
  const { of, all, revoked, wait } = opened(400);
  of();
  for (let index = 330; index < 400; index++) revoked.add(`${index}`);
  for (let turn = 0; turn < 20; turn++) assert.ok(!of().some(({ key }) => revoked.has(key)));
  all.set("new", choice("new", { generationRate: 1_000 }));
  for (let index = 0; index < 400; index++) all.delete(`${index}`);
  wait(501);
  assert.deepEqual(of().map(({ key }) => key).sort(), ["local", "new"]);
});

Deno.test("PooledChoices counts what was asked meanwhile", () => {
  const { of, pooled } = opened(400);
  for (let turn = 0; turn < 60; turn++) {
    const [best] = of().filter(({ key }) => key !== "local");
    assert.ok(best !== undefined && best.inFlight === 0 && best.free === 1, `${best?.key} in turn ${turn}`);
    pooled.asked(best);
  }
});

Deno.test("PooledChoices spends no more than a twentieth of the time on looks at all, and looks every ten seconds at least", () => {
  for (const [lookMs, everyMs] of [[0, 500], [10, 500], [100, 2_000], [5_000, 10_000]] as const) {
    const { of, looks, wait } = opened(400, { lookMs });
    of();
    wait(everyMs);
    of();
    assert.equal(looks(), 1, `${lookMs} ms`);
    wait(1);
    of();
    assert.equal(looks(), 2, `${lookMs} ms`);
  }
});
