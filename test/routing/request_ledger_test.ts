import assert from "node:assert/strict";
import fc from "fast-check";
import { ERROR_CODES } from "@ark/node/protocol";
import { type LedgerEntry, RequestLedger, type RouteStep } from "@ark/node/routing";

const PEER = "b".repeat(56);
const candidate = (key: string, name: string, estimateMs: number) => {
  return { key, name, peer: key === "local" ? null : key, estimateMs, loaded: true, inFlight: 1, queued: 2 };
};

Deno.test("RequestLedger tells a journey: candidates, who was asked, failed, hedged and went on, tokens and times", () => {
  const changes: LedgerEntry[] = [];
  const ledger = new RequestLedger({ changed: (entry) => void changes.push(structuredClone(entry)) });
  const run = ledger.begin({ id: "req_1", from: "key", sender: "laptop", model: "m" });
  const steps: RouteStep[] = [
    { ms: 0.26, type: "ranked", candidates: [candidate(PEER, "Cellar", 812.34), candidate("local", "own", Infinity)] },
    { ms: 0.3, type: "asked", key: PEER, name: "Cellar", attempt: 0 },
    { ms: 900, type: "asked", key: "local", name: "own", attempt: 1, hedge: true },
    { ms: 950, type: "began", key: PEER, name: "Cellar" },
    { ms: 2_000, type: "failed", key: PEER, name: "Cellar", code: "unavailable", tokens: 5 },
    { ms: 2_500, type: "asked", key: "local", name: "own", attempt: 2 },
    { ms: 2_700, type: "continued", key: "local", name: "own", tokens: 5, gapMs: 700 },
    { ms: 3_000, type: "ended", outcome: "ok", tokens: 9 },
  ];
  run.event({ type: "start", model: "m", digest: null, prompt_tokens: 11 });
  for (const step of steps) run.step(step);
  run.event({ type: "text", text: "secret", tokens: 9 });
  run.end("ok");
  run.end("internal");
  run.step({ ms: 1, type: "asked", key: "local", name: "own", attempt: 9 });

  const [entry, ...more] = ledger.list();
  assert.equal(more.length, 0);
  assert.ok(entry !== undefined && entry.first_token_ms !== null && entry.total_ms !== null);
  const { at: _, first_token_ms: __, total_ms: ___, ...rest } = entry;
  assert.deepEqual(rest, {
    seq: 1,
    id: "req_1",
    from: "key",
    sender: "laptop",
    model: "m",
    outcome: "ok",
    where: "local",
    answered_by: "own",
    candidates: [
      { key: PEER, name: "Cellar", estimate_ms: 812.3, loaded: true, in_flight: 1, queued: 2 },
      { key: "local", name: "own", estimate_ms: null, loaded: true, in_flight: 1, queued: 2 },
    ],
    candidate_count: 2,
    steps: [
      { type: "asked", ms: 0.3, name: "Cellar" },
      { type: "asked", ms: 900, name: "own", hedge: true },
      { type: "began", ms: 950, name: "Cellar" },
      { type: "failed", ms: 2_000, name: "Cellar", code: "unavailable", tokens: 5 },
      { type: "asked", ms: 2_500, name: "own" },
      { type: "continued", ms: 2_700, name: "own", tokens: 5, gap_ms: 700 },
    ],
    asked: 3,
    failed: 1,
    hedged: 1,
    continued: 1,
    prompt_tokens: 11,
    tokens: 9,
  });
  // Begun, seven steps (the router's own end is not one), the end.
  assert.equal(changes.length, 9);
  assert.deepEqual(changes.map(({ outcome }) => outcome), [...Array(8).fill(null), "ok"]);
  assert.doesNotMatch(JSON.stringify(ledger.list()), /secret/);
});

Deno.test("RequestLedger keeps a bounded number of requests, candidates and steps, whatever comes", () => {
  const ledger = new RequestLedger({ limit: 10 });
  const name = fc.string({ maxLength: 20 });
  const step = fc.oneof(
    fc.record({
      ms: fc.double(),
      type: fc.constant("ranked" as const),
      candidates: fc.array(name.map((key) => candidate(key, key, 1)), { maxLength: 100, size: "max" }),
    }),
    fc.record({ ms: fc.double(), type: fc.constant("asked" as const), key: name, name, attempt: fc.nat() }),
    fc.record({
      ms: fc.double(),
      type: fc.constant("failed" as const),
      key: name,
      name,
      code: fc.constantFrom(...ERROR_CODES),
      tokens: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), fc.string({ maxLength: 5_000 }), (steps, model) => {
      const run = ledger.begin({ id: "x", from: "owner", model });
      for (const one of steps) run.step(one);
      const all = ledger.list();
      assert.ok(all.length <= 10);
      const last = all.at(-1);
      assert.ok(
        last !== undefined && last.steps.length <= 64 && last.candidates.length <= 16 && last.model.length <= 200,
      );
      assert.equal(last.sender, null);
    }),
    { numRuns: 50 },
  );
  assert.equal(ledger.list().length, 10);
  assert.equal(ledger.list(3).length, 3);
  assert.deepEqual(ledger.list(3), ledger.list().slice(-3));
  const [first] = ledger.list();
  assert.ok(first !== undefined && ledger.get(first.seq) === first);
  assert.equal(ledger.get(first.seq - 1), undefined);
});
