import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError } from "@ark/node/protocol";
import { Observations } from "@ark/node/routing";
import { Attempt } from "../../src/routing/attempt.ts";
import type { Choice } from "../../src/routing/choices.ts";
import { FirstToken } from "../../src/routing/first_token.ts";
import { patienceMs } from "../../src/routing/patience.ts";
import { CHAIN, ChainBackend, MODEL } from "./chain_backend.ts";

function choice(backend: ChainBackend, fields: Partial<Choice> = {}): Choice {
  return {
    key: backend.name,
    name: backend.name,
    local: false,
    loaded: true,
    inFlight: 0,
    slots: 1,
    queued: 0,
    roundTripMs: 1,
    promptRate: 1_000,
    generationRate: 100,
    loadMs: null,
    successRate: 1,
    backend,
    peer: null,
    upstream: false,
    model: MODEL,
    digest: CHAIN,
    claim: {},
    ...fields,
  };
}

Deno.test("patienceMs() is several times what is expected, some seconds at least, and long enough to load a model", () => {
  const backend = new ChainBackend("a");
  const reading = { promptTokens: 100, answerTokens: 0 };
  const asked = (fields: Partial<Choice>) => patienceMs(choice(backend, fields), { reading, started: false });
  assert.equal(asked({}), 5_000);
  assert.equal(asked({ promptRate: 10 }), 4 * (10_000 + 1));
  assert.equal(asked({ loaded: false }), 60_000, "A cold load is not cut");
  assert.equal(asked({ loaded: false, loadMs: 30_000 }), 4 * (100 + 30_000 + 1));
  assert.equal(asked({ promptRate: 0.01 }), 600_000);
  // Who has its turn has loaded and waited: what is left is to read.
  const slow = choice(backend, { loaded: false, loadMs: 90_000, queued: 9, inFlight: 1 });
  assert.equal(patienceMs(slow, { reading, started: true }), 5_000);
  const any = fc.record({
    loaded: fc.boolean(),
    queued: fc.nat(),
    inFlight: fc.nat(),
    promptRate: fc.double({ noNaN: true }),
  });
  fc.assert(fc.property(any, fc.boolean(), (fields, started) => {
    const ms = patienceMs(choice(backend, fields), { reading, started });
    assert.ok(ms >= 5_000 && ms <= 600_000);
  }));
});

const OVER = new ArkError("cancelled", "It is over");

/** Who leads among these, when each has 30 ms to begin. */
async function leader(backends: ChainBackend[], signal = new AbortController().signal): Promise<string | null> {
  const observations = new Observations();
  const attempts: Attempt[] = [];
  const first = new FirstToken({
    line: backends.map((backend) => choice(backend)),
    signal,
    ask: (choice) => {
      const request = {
        model: MODEL,
        input: { kind: "completion" as const, prompt: "x" },
        parameters: { max_tokens: 3 },
      };
      const asking = { priority: "owner" as const, principal: "owner" };
      const observation = observations.begin(choice.key, MODEL, { promptTokens: 1 });
      const attempt = new Attempt({ choice, request, asking, observation });
      attempts.push(attempt);
      return attempt;
    },
    started: () => {},
    stop: (attempt) => void attempt.stop(OVER),
    failed: () => false,
    patienceMs: () => 30,
  });
  const lead = await first.lead();
  for (const attempt of attempts) attempt.stop(OVER);
  return lead?.attempt.choice.name ?? null;
}

Deno.test("FirstToken asks the next one when one takes too long, before its start or after it, and waits for the last one", async () => {
  for (const after of [0, 1]) {
    const silent = new ChainBackend("silent", { fates: [{ after, how: "silent" }] });
    const late = new ChainBackend("late", { fates: [{ after, how: { lateMs: 90 } }] });
    assert.equal(await leader([silent, late]), "late");
    assert.equal(silent.running, 0);
  }
});

Deno.test("FirstToken asks nobody where nobody is wanted any more", async () => {
  const backend = new ChainBackend("a");
  assert.equal(await leader([backend], AbortSignal.abort()), null);
  assert.equal(backend.requests.length, 0);
});
