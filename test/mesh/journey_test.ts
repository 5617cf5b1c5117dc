/** What the owner is told of an answer that broke and went on at another node, with three whole nodes. */
import assert from "node:assert/strict";
import type { LedgerEntry, RoutedModel } from "@ark/node/routing";
import { until } from "../inference/local_fixture.ts";
import { Collector } from "../support/trace_collector.ts";
import { FIXTURES, MODEL, TestNode } from "./test_node.ts";

/** A node without models, and two with the same one, which let it ask. */
async function three(endpoint: string): Promise<{ a: TestNode; all: TestNode[] } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const flags = { "trace-endpoint": endpoint, hedge: "off" };
  const b = opened.use(await TestNode.start({ name: "B", models: [FIXTURES], flags }));
  const c = opened.use(await TestNode.start({ name: "C", models: [FIXTURES], flags }));
  const a = opened.use(await TestNode.start({ name: "A", peers: [b.mesh, c.mesh], flags }));
  for (const [name, node] of [["B", b], ["C", c]] as const) {
    await a.approve({ publicKey: node.publicKey, name });
    await node.approve({ publicKey: a.publicKey, name: "A" });
  }
  // An answer goes on only where the weights are known to be the same.
  await until(async () => {
    const { models } = (await a.admin<{ models: RoutedModel[] }>("/models")).body;
    return models.length === 2 && models.every(({ digest }) => digest !== null);
  });
  const resources = opened.move();
  return { a, all: [a, b, c], [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

Deno.test("An answer that goes on at another node is one request in ledger and metrics, and one trace through three nodes", async () => {
  await using collector = new Collector();
  await using nodes = await three(collector.url);
  const { a, all } = nodes;
  const response = await fetch(`${a.api}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, prompt: "one two #fail-after=3", max_tokens: 6 }),
  });
  const answer = await response.json();
  assert.equal(answer.choices?.[0]?.text, "w0 w1 w2 w3 w4 w5", JSON.stringify(answer));

  const { requests } = (await a.admin<{ requests: LedgerEntry[] }>("/api/v1/requests")).body;
  const [entry, ...more] = requests;
  assert.ok(entry !== undefined && more.length === 0);
  assert.equal(entry.id, response.headers.get("x-request-id"));
  const { outcome, tokens, asked, failed, continued, candidate_count, where, steps } = entry;
  assert.deepEqual({ outcome, tokens, asked, failed, continued, candidate_count, where }, {
    outcome: "ok",
    tokens: 6,
    asked: 2,
    failed: 1,
    continued: 1,
    candidate_count: 2,
    where: "peer",
  });
  assert.deepEqual(steps.map(({ type }) => type), ["asked", "began", "failed", "asked", "continued"]);
  const [, began, broke, , went] = steps;
  assert.deepEqual([broke?.code, broke?.tokens, went?.tokens], ["engine_failed", 3, 3]);
  assert.ok(typeof went?.gap_ms === "number");
  assert.deepEqual([broke?.name, entry.answered_by], [began?.name, went?.name]);
  assert.notEqual(went?.name, began?.name);

  const metrics = await (await fetch(`${a.api}/metrics`)).text();
  for (
    const line of [
      'ark_answers_total{where="peer",outcome="ok"} 1',
      'ark_failovers_total{code="engine_failed",stage="streaming"} 1',
      "ark_continuations_total 1",
      "ark_continuation_gap_seconds_count 1",
    ]
  ) assert.ok(metrics.includes(`${line}\n`), line);

  const count = (name: string) => collector.spans.filter((span) => span.name === name).length;
  await until(() => Promise.resolve(count("request") === 1 && count("attempt peer") === 2 && count("serve") === 2));
  const { spans } = collector;
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
  const attempts = spans.filter(({ name }) => name === "attempt peer");
  const serves = spans.filter(({ name }) => name === "serve");
  assert.deepEqual(
    new Set(serves.map(({ parentSpanId }) => parentSpanId)),
    new Set(attempts.map(({ spanId }) => spanId)),
  );
  assert.deepEqual(attempts.map(({ status }) => status.message ?? "ok").sort(), ["engine_failed", "ok"]);
  assert.deepEqual(serves.map(({ status }) => status.message ?? "ok").sort(), ["engine_failed", "ok"]);

  // Each of the two knows its part as one request of a peer.
  for (const node of all.slice(1)) {
    const theirs = (await node.admin<{ requests: LedgerEntry[] }>("/api/v1/requests")).body.requests;
    assert.deepEqual(theirs.map(({ from, sender, tokens }) => [from, sender, tokens]), [["peer", a.daemon.id, 3]]);
    const steps = theirs.flatMap(({ steps }) => steps.map(({ type }) => type));
    assert.deepEqual(steps.slice(0, 2), ["asked", "began"]);
    assert.ok(steps.length === 2 || (steps.length === 3 && steps[2] === "failed"), steps.join());
  }
});
