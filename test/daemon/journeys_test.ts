import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError, ERROR_CODES, type ErrorCode, type InferenceEvent, type InferenceRequest } from "@ark/node/protocol";
import type { RouteOptions, RouteStep } from "@ark/node/routing";
import { type ArkEvent, type FinishedSpan, Logger, Metrics, Tracer } from "@ark/node/telemetry";
import { Journeys } from "../../src/daemon/journeys.ts";
import { nodeGauges } from "../../src/daemon/node_gauges.ts";
import { observedAnswers } from "../../src/daemon/observed_answers.ts";

const SECRET = "crimson-otter-secret";
const [PEER, OTHER] = ["b".repeat(56), "c".repeat(56)];
const REQUEST: InferenceRequest = { model: "m", input: { kind: "completion", prompt: SECRET }, parameters: {} };
const TIMINGS = { queue_ms: 1, load_ms: 40, prompt_ms: 2, generation_ms: 3 };

type Told = RouteStep | InferenceEvent | ArkError | { chosen: string };

/** A node whose router does what it is told, and what it tells of it. */
function scene(script: Told[]) {
  const events: ArkEvent[] = [];
  const spans: FinishedSpan[] = [];
  const log: string[] = [];
  const metrics = new Metrics();
  const journeys = new Journeys({
    events: { emit: (event) => void events.push(event) },
    metrics,
    tracer: new Tracer((span) => void spans.push(span)),
  });
  const router = {
    models: () => [],
    async *infer(_: InferenceRequest, options: RouteOptions): AsyncGenerator<InferenceEvent> {
      for (const told of script) {
        if (told instanceof ArkError) throw told;
        if ("chosen" in told) {
          const peer = told.chosen === "local" ? null : told.chosen;
          options.chosen?.({ name: told.chosen.slice(0, 1), peer, attempt: 0 });
        } else if ("ms" in told) options.step?.(told);
        else yield await Promise.resolve(told as InferenceEvent);
      }
    },
  };
  const logger = new Logger({ write: (line) => void log.push(line) });
  const answers = observedAnswers(router, { events: { emit: (event) => void events.push(event) }, journeys, logger });
  const ask = async (options: { request?: string; key?: string; model?: string } = {}) => {
    const { model = "m", ...rest } = options;
    const signal = new AbortController().signal;
    const asked = { priority: "owner", principal: "owner", signal, ...rest } as const;
    try {
      for await (const _ of answers.infer({ ...REQUEST, model }, asked));
      return "ok";
    } catch (error) {
      return (error as ArkError).code;
    }
  };
  return { journeys, metrics, events, spans, log, ask };
}

const START: InferenceEvent = { type: "start", model: "m", digest: null, prompt_tokens: 7 };
const TEXT: InferenceEvent = { type: "text", text: SECRET, tokens: 2 };
const END: InferenceEvent = {
  type: "end",
  finish_reason: "stop",
  usage: { prompt_tokens: 7, completion_tokens: 4 },
  timings: TIMINGS,
};

Deno.test("A request that is hedged, breaks and goes on elsewhere is told in ledger, metrics and trace; its text in none", async () => {
  const { ask, journeys, metrics, spans, log, events } = scene([
    { ms: 1, type: "asked", key: PEER, name: "b", attempt: 0 },
    { ms: 2, type: "asked", key: OTHER, name: "c", attempt: 1, hedge: true },
    { chosen: PEER },
    { ms: 3, type: "began", key: PEER, name: "b" },
    START,
    TEXT,
    { ms: 4, type: "asked", key: "local", name: "own", attempt: 2, hedge: true },
    { ms: 5, type: "failed", key: PEER, name: "b", code: "unavailable", tokens: 2 },
    { chosen: "local" },
    { ms: 6, type: "continued", key: "local", name: "own", tokens: 2, gapMs: 400 },
    TEXT,
    END,
  ]);
  assert.equal(await ask({ request: "req_7", key: "laptop" }), "ok");
  const [entry] = journeys.ledger.list();
  assert.ok(entry !== undefined);
  const { id, from, sender, where, answered_by, outcome, failed, hedged, continued, tokens, prompt_tokens } = entry;
  assert.deepEqual(
    { id, from, sender, where, answered_by, outcome, failed, hedged, continued, tokens, prompt_tokens },
    {
      id: "req_7",
      from: "key",
      sender: "laptop",
      where: "local",
      answered_by: "own",
      outcome: "ok",
      failed: 1,
      hedged: 2,
      continued: 1,
      tokens: 4,
      prompt_tokens: 7,
    },
  );
  assert.match(log.join(), /request=req_7/);
  const text = metrics.render();
  for (
    const line of [
      'ark_answers_total{where="local",outcome="ok"} 1',
      'ark_failovers_total{code="unavailable",stage="streaming"} 1',
      "ark_continuations_total 1",
      'ark_continuation_gap_seconds_bucket{le="0.5"} 1',
      'ark_continuation_gap_seconds_bucket{le="0.25"} 0',
      'ark_hedges_total{result="started"} 1',
      'ark_hedges_total{result="wasted"} 1',
      'ark_backups_total{result="started"} 1',
      'ark_backups_total{result="won"} 1',
      'ark_time_to_first_token_seconds_count{where="peer"} 1',
      'ark_inter_token_seconds_count{where="local"} 1',
      "ark_model_loads_total 1",
      'ark_model_load_seconds_bucket{le="0.1"} 1',
    ]
  ) assert.ok(text.includes(`${line}\n`), `${line}\n${text}`);
  const [request] = spans;
  assert.deepEqual([spans.length, request?.name, request?.outcome, request?.attributes["ark.continued"]], [
    1,
    "request",
    "ok",
    true,
  ]);
  const seqs = events.flatMap((event) => event.type === "journey" ? [event.seq] : []);
  assert.ok(seqs.length >= 8 && seqs.every((seq) => seq === entry.seq));
  const everything = JSON.stringify([journeys.ledger.list(), text, spans, log, events]);
  assert.ok(!everything.includes(SECRET));
});

Deno.test("A hedge that leads is counted as won, and one that failed before its first token as a failover", async () => {
  const { ask, metrics } = scene([
    { ms: 1, type: "asked", key: PEER, name: "b", attempt: 0 },
    { ms: 2, type: "asked", key: OTHER, name: "c", attempt: 1, hedge: true },
    { ms: 3, type: "failed", key: PEER, name: "b", code: "busy", tokens: 0 },
    { ms: 3, type: "began", key: OTHER, name: "c" },
    START,
    TEXT,
    END,
  ]);
  await ask();
  const text = metrics.render();
  assert.match(text, /ark_hedges_total\{result="won"\} 1/);
  assert.doesNotMatch(text, /result="wasted"/);
  assert.match(text, /ark_failovers_total\{code="busy",stage="before_first_token"\} 1/);
  assert.match(text, /ark_answers_total\{where="peer",outcome="ok"\} 1/);
});

Deno.test("A request that nobody answers is told, too, also where the router has said nothing of it", async () => {
  const { ask, journeys, metrics } = scene([new ArkError("model_not_found", `There is no ${SECRET}`)]);
  assert.equal(await ask(), "model_not_found");
  const [entry] = journeys.ledger.list();
  assert.deepEqual([entry?.outcome, entry?.where, entry?.from, entry?.tokens], ["model_not_found", null, "owner", 0]);
  assert.match(entry?.id ?? "", /^req_[0-9a-f]{32}$/);
  assert.match(metrics.render(), /ark_answers_total\{where="nowhere",outcome="model_not_found"\} 1/);
  assert.ok(!JSON.stringify(journeys.ledger.list()).includes(SECRET));
});

Deno.test("Labels stay bounded under hostile names of models, peers and keys", async () => {
  const hostile = fc.record({
    model: fc.string({ minLength: 1, maxLength: 300 }),
    request: fc.string(),
    key: fc.string(),
    name: fc.string(),
    code: fc.constantFrom(...ERROR_CODES),
    outcome: fc.constantFrom<"ok" | ErrorCode>("ok", ...ERROR_CODES),
  });
  const script: Told[] = [];
  const { ask, metrics } = scene(script);
  const before = metrics.render();
  await fc.assert(
    fc.asyncProperty(hostile, async ({ name, code, outcome, ...options }) => {
      script.splice(0, Infinity, ...[
        { ms: 1, type: "asked" as const, key: name, name, attempt: 0, hedge: true as const },
        { ms: 2, type: "failed" as const, key: name, name, code, tokens: 0 },
        { ms: 3, type: "began" as const, key: `upstream:${name}`, name },
        START,
        TEXT,
        outcome === "ok" ? END : new ArkError(outcome, "No"),
      ]);
      await ask(options);
    }),
    { numRuns: 1_000 },
  );
  const after = metrics.render();
  const lines = after.split("\n").filter((line) => !line.startsWith("#"));
  // All combinations of closed sets: places, codes, stages, results and buckets.
  assert.ok(lines.length < 300, `${lines.length} lines, ${before.split("\n").length} before`);
  for (const line of lines) {
    for (const [, label, value] of line.matchAll(/(\w+)="([^"]*)"/g)) {
      assert.ok(["where", "outcome", "code", "stage", "result", "le"].includes(label ?? ""), line);
      assert.match(value ?? "", /^([a-z_]{2,20}|[\d.]+|\+Inf)$/, line);
    }
  }
});

Deno.test("nodeGauges() names at most 64 peers, by their short ids, and forgets those that are gone", () => {
  const metrics = new Metrics();
  const node = (index: number) => index.toString(36).padStart(8, "q").padEnd(56, "a");
  let count = 200;
  const views = () =>
    Array.from({ length: count }, (_, index) => ({
      peer: { node_id: node(index), name: `Peer of Ann ${index}` },
      state: index % 2 === 0 ? "ready" : "unreachable",
      inFlight: index,
      roundTripMs: index === 3 ? null : 2,
    }));
  const peerMetrics = new Metrics();
  nodeGauges({ metrics, peerMetrics }, {
    // deno-lint-ignore no-explicit-any
    table: { list: () => views() as any },
    router: {
      breakers: () => ({ open: 3, half_open: 1 }),
      // deno-lint-ignore no-explicit-any
      reputation: { of: (key) => ({ reliability: key === node(1) ? 0.5 : 1 }) as any },
    },
    engine: { backend: { queued: 5, ready: false, loaded: () => [] } },
  });
  assert.ok(!/qqqqqqq|peer=/.test(metrics.render()), "Without the token nobody is named");
  const text = metrics.render() + peerMetrics.render();
  assert.match(text, /ark_peers\{state="ready"\} 100\n/);
  // States in which nobody is are told, too.
  for (const state of ["paused", "busy", "thrashing"]) {
    assert.match(text, new RegExp(`ark_peers\\{state="${state}"\\} 0\n`));
  }
  assert.match(text, /ark_breakers\{state="open"\} 3\n/);
  assert.match(text, /ark_breakers\{state="half_open"\} 1\n/);
  assert.match(text, /ark_queue_length 5\n/);
  assert.match(text, /ark_memory_short 1\n/);
  assert.match(text, /ark_peer_reliability_ratio\{peer="qqqqqqq1"\} 0\.5\n/);
  assert.match(text, /ark_peer_reliability_ratio\{peer="qqqqqqq2"\} 1\n/);
  assert.match(text, /ark_peer_round_trip_seconds\{peer="qqqqqqq1"\} 0\.002\n/);
  assert.equal(text.match(/ark_peer_requests_running\{/g)?.length, 64);
  assert.ok(!text.includes("Ann") && !text.includes(node(1)), "No names, and no whole ids");
  count = 1;
  const later = metrics.render() + peerMetrics.render();
  assert.equal(later.match(/ark_peer_requests_running\{/g)?.length, 1);
  assert.match(later, /ark_peers\{state="unreachable"\} 0\n/);
});
