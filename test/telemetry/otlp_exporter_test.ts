import assert from "node:assert/strict";
import { type FinishedSpan, OtlpExporter, otlpTraces } from "@ark/node/telemetry";
import { until } from "../inference/local_fixture.ts";
import { Collector } from "../support/trace_collector.ts";

const SPAN: FinishedSpan = {
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  parentId: null,
  name: "request",
  kind: "server",
  from: 1_790_000_000_000.25,
  to: 1_790_000_000_001.5,
  attributes: { model: "m", tokens: 3, share: 0.5, cold: true },
  outcome: "ok",
};

Deno.test("otlpTraces() writes the JSON of OTLP: times as texts of nanoseconds, kinds and states as numbers", () => {
  const failed = { ...SPAN, parentId: "b7ad6b7169203331", kind: "client" as const, outcome: "busy", attributes: {} };
  assert.deepEqual(JSON.parse(JSON.stringify(otlpTraces([SPAN, failed], { "service.name": "ark-node" }))), {
    resourceSpans: [{
      resource: { attributes: [{ key: "service.name", value: { stringValue: "ark-node" } }] },
      scopeSpans: [{
        scope: { name: "ark-node" },
        spans: [{
          traceId: SPAN.traceId,
          spanId: SPAN.spanId,
          name: "request",
          kind: 2,
          startTimeUnixNano: "1790000000000250000",
          endTimeUnixNano: "1790000000001500000",
          attributes: [
            { key: "model", value: { stringValue: "m" } },
            { key: "tokens", value: { intValue: "3" } },
            { key: "share", value: { doubleValue: 0.5 } },
            { key: "cold", value: { boolValue: true } },
          ],
          status: { code: 1 },
        }, {
          traceId: SPAN.traceId,
          spanId: SPAN.spanId,
          parentSpanId: "b7ad6b7169203331",
          name: "request",
          kind: 3,
          startTimeUnixNano: "1790000000000250000",
          endTimeUnixNano: "1790000000001500000",
          attributes: [],
          status: { code: 2, message: "busy" },
        }],
      }],
    }],
  });
});

Deno.test("OtlpExporter.run() posts in batches, and what is left when it ends", async () => {
  await using collector = new Collector();
  const counts = { sent: 0, dropped: 0 };
  const exporter = new OtlpExporter({
    endpoint: collector.url,
    resource: {},
    batchSize: 4,
    everyMs: 60_000,
    count: (outcome, spans) => void (counts[outcome] += spans),
  });
  const stop = new AbortController();
  const running = exporter.run(stop.signal);
  for (let i = 0; i < 4; i++) exporter.take(SPAN);
  await until(() => Promise.resolve(collector.spans.length === 4));
  for (let i = 0; i < 6; i++) exporter.take(SPAN);
  stop.abort();
  await running;
  assert.equal(collector.spans.length, 10);
  assert.deepEqual(collector.posts.map(({ contentType, spans }) => [contentType, spans.length]), [
    ["application/json", 4],
    ["application/json", 4],
    ["application/json", 2],
  ]);
  assert.deepEqual(counts, { sent: 10, dropped: 0 });
});

Deno.test("OtlpExporter.take() loses spans and no time where the collector is gone, fails or leads elsewhere", async () => {
  await using elsewhere = new Collector();
  for (const status of [503, 307, null]) {
    await using collector = new Collector({
      answer: () => new Response(null, { status: status ?? 200, headers: { location: elsewhere.url } }),
    });
    const endpoint = status === null ? "http://127.0.0.1:1/v1/traces" : collector.url;
    const counts = { sent: 0, dropped: 0 };
    const told: string[] = [];
    const exporter = new OtlpExporter({
      endpoint,
      resource: {},
      queueLimit: 100,
      everyMs: 1,
      count: (outcome, spans) => void (counts[outcome] += spans),
      logger: { warn: (message) => void told.push(message), info: (message) => void told.push(message) },
    });
    for (let i = 0; i < 250; i++) exporter.take(SPAN);
    assert.equal(exporter.waiting, 100);
    assert.equal(counts.dropped, 150);
    const stop = new AbortController();
    const running = exporter.run(stop.signal);
    await until(() => Promise.resolve(counts.dropped === 250));
    exporter.take(SPAN);
    await until(() => Promise.resolve(counts.dropped === 251));
    stop.abort();
    await running;
    assert.deepEqual(counts, { sent: 0, dropped: 251 });
    assert.equal(told.length, 1, "A collector that stays away is told of once");
  }
  assert.equal(elsewhere.posts.length, 0);
});
