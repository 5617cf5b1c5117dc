import assert from "node:assert/strict";
import fc from "fast-check";
import { Metrics } from "@ark/node/telemetry";

const LINE_REGEXP =
  /^(?:# HELP [a-z_][a-z0-9_]* .*|# TYPE [a-z_][a-z0-9_]* (?:counter|gauge|histogram)|[a-z_][a-z0-9_]*(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (?:[-+0-9.e]+|NaN|[+-]Inf))$/;

function linesOf(metrics: Metrics): string[] {
  const text = metrics.render();
  assert.ok(text.endsWith("\n"));
  const lines = text.slice(0, -1).split("\n");
  for (const line of lines) assert.match(line, LINE_REGEXP);
  return lines;
}

Deno.test("Metrics.render() shows counters and gauges with their labels", () => {
  const metrics = new Metrics();
  const requests = metrics.counter("ark_requests_total", "Requests served.", ["outcome"]);
  requests.add(1, { outcome: "ok" });
  requests.add(2.5, { outcome: "ok" });
  requests.add(undefined, { outcome: "busy" });
  const peers = metrics.gauge("ark_peers", "Approved peers.");
  peers.set(5);
  peers.add(-2);
  assert.deepEqual(linesOf(metrics), [
    "# HELP ark_requests_total Requests served.",
    "# TYPE ark_requests_total counter",
    'ark_requests_total{outcome="ok"} 3.5',
    'ark_requests_total{outcome="busy"} 1',
    "# HELP ark_peers Approved peers.",
    "# TYPE ark_peers gauge",
    "ark_peers 3",
  ]);
});

Deno.test("Metrics.render() shows histograms cumulatively, with sum and count", () => {
  const metrics = new Metrics();
  const wait = metrics.histogram("ark_wait_ms", "Waiting.", { labels: ["role"], buckets: [1, 10] });
  for (const value of [0.5, 1, 5, 50, NaN]) wait.observe(value, { role: "compute" });
  assert.deepEqual(linesOf(metrics).slice(2), [
    'ark_wait_ms_bucket{role="compute",le="1"} 2',
    'ark_wait_ms_bucket{role="compute",le="10"} 3',
    'ark_wait_ms_bucket{role="compute",le="+Inf"} 4',
    'ark_wait_ms_sum{role="compute"} 56.5',
    'ark_wait_ms_count{role="compute"} 4',
  ]);
});

Deno.test("Metrics shows a metric without labels from the start", () => {
  const metrics = new Metrics();
  metrics.counter("ark_errors_total", "Errors.");
  metrics.histogram("ark_ms", "Times.", { buckets: [1] });
  const lines = linesOf(metrics);
  assert.ok(lines.includes("ark_errors_total 0"));
  assert.ok(lines.includes('ark_ms_bucket{le="+Inf"} 0'));
});

Deno.test("Metrics.render() is valid whatever labels hold", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (model) => {
    const metrics = new Metrics();
    metrics.counter("ark_tokens_total", "Tokens\nof \\ all.", ["model"]).add(1, { model });
    assert.equal(linesOf(metrics).length, 3);
  }));
});

Deno.test("Metrics counts what is beyond the limit of series as other", () => {
  const metrics = new Metrics({ seriesLimit: 3 });
  const counter = metrics.counter("ark_asks_total", "Asks.", ["model"]);
  for (let index = 0; index < 1_000; index++) counter.add(1, { model: `m${index}` });
  counter.add(1, { model: "m0" });
  assert.deepEqual(linesOf(metrics).slice(2), [
    'ark_asks_total{model="m0"} 2',
    'ark_asks_total{model="m1"} 1',
    'ark_asks_total{model="m2"} 1',
    'ark_asks_total{model="other"} 997',
  ]);
});

Deno.test("Metrics.counter() returns the same counter for the same name and refuses another shape", () => {
  const metrics = new Metrics();
  metrics.counter("ark_a_total", "A.").add(1);
  metrics.counter("ark_a_total", "A.").add(1);
  assert.ok(linesOf(metrics).includes("ark_a_total 2"));
  assert.throws(() => metrics.gauge("ark_a_total", "A."), TypeError);
  assert.throws(() => metrics.counter("ark_a_total", "A.", ["model"]), TypeError);
  assert.throws(() => metrics.counter("no name", "A."), TypeError);
  assert.throws(() => metrics.counter("ark_b", "B.", ["no-label"]), TypeError);
});

Deno.test("Counter.add() refuses to shrink", () => {
  const counter = new Metrics().counter("ark_a_total", "A.");
  assert.throws(() => counter.add(-1), RangeError);
  assert.throws(() => counter.add(NaN), RangeError);
});

Deno.test("Metrics.collect() has gauges set when they are read, and clear() lets go of those that are no more", () => {
  const metrics = new Metrics();
  const gauge = metrics.gauge("peers", "Peers.", ["state"]);
  let state = "ready";
  metrics.collect(() => {
    gauge.clear();
    gauge.set(1, { state });
  });
  assert.match(metrics.render(), /peers\{state="ready"\} 1/);
  state = "gone";
  assert.match(metrics.render(), /peers\{state="gone"\} 1/);
  assert.doesNotMatch(metrics.render(), /ready/);
});

Deno.test("Histogram.series() counts into the one series that it was made for", () => {
  const metrics = new Metrics();
  const times = metrics.histogram("time_seconds", "Time.", { labels: ["where"], buckets: [1, 2] });
  const here = times.series({ where: "local" });
  here(0.5);
  here(NaN);
  times.observe(1.5, { where: "local" });
  assert.match(metrics.render(), /time_seconds_bucket\{where="local",le="1"\} 1\n.*le="2"\} 2\n/);
  assert.match(metrics.render(), /time_seconds_count\{where="local"\} 2/);
});
