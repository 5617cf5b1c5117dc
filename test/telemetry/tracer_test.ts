import assert from "node:assert/strict";
import fc from "fast-check";
import { type FinishedSpan, formatTraceparent, parseTraceparent, Tracer } from "@ark/node/telemetry";

Deno.test("parseTraceparent() reads what formatTraceparent() writes, and nothing that is not of version 00 and sampled", () => {
  const hex = (length: number) =>
    fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length })
      .filter((text) => /[^0]/.test(text));
  fc.assert(fc.property(hex(32), hex(16), (traceId, spanId) => {
    assert.deepEqual(parseTraceparent(formatTraceparent({ traceId, spanId })), { traceId, spanId });
  }));
  const [trace, span] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
  assert.deepEqual(parseTraceparent(`00-${trace}-${span}-03`), { traceId: trace, spanId: span });
  const bad = [
    `00-${trace}-${span}-00`,
    `01-${trace}-${span}-01`,
    `ff-${trace}-${span}-01`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${trace}-${span}-01-more`,
    `00-${trace}-${span}-01\n`,
    ` 00-${trace}-${span}-01`,
    `00-${trace}-${span}`,
    "",
    null,
    7,
    [`00-${trace}-${span}-01`],
  ];
  for (const value of bad) assert.equal(parseTraceparent(value), null, String(value));
  fc.assert(fc.property(fc.anything(), (value) => void parseTraceparent(value)));
});

Deno.test("Tracer.start() begins a trace, or goes on with one; each part names the one that it belongs to", () => {
  const spans: FinishedSpan[] = [];
  const tracer = new Tracer((span) => void spans.push(span));
  const whole = tracer.start("request", { kind: "server", attributes: { model: "m" } });
  const part = whole.child("attempt", { kind: "client" });
  const other = tracer.start("serve", { parent: parseTraceparent(part.traceparent) });
  other.past("load", { from: 0.5, to: 0 });
  other.end("engine_failed");
  part.end();
  part.end("internal");
  whole.set({ tokens: 3 });
  whole.end();
  const [load, serve, attempt, request] = spans;
  assert.equal(spans.length, 4);
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
  assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, 4);
  assert.deepEqual([request?.parentId, attempt?.parentId, serve?.parentId, load?.parentId], [
    null,
    request?.spanId,
    attempt?.spanId,
    serve?.spanId,
  ]);
  assert.deepEqual([request?.outcome, attempt?.outcome, serve?.outcome], ["ok", "ok", "engine_failed"]);
  assert.deepEqual(request?.attributes, { model: "m", tokens: 3 });
  for (const { from, to } of spans) assert.ok(from <= to && from > 1e12);
  assert.ok((load?.from ?? 0) >= (serve?.from ?? Infinity));
  assert.notEqual(parseTraceparent(tracer.start("another").traceparent)?.traceId, request?.traceId);
});

Deno.test("A span keeps a bounded number of attributes, each of bounded length", () => {
  const spans: FinishedSpan[] = [];
  const span = new Tracer((one) => void spans.push(one)).start("x");
  for (let i = 0; i < 100; i++) span.set({ [`a${i}`]: "x".repeat(1_000), a0: i });
  span.end();
  const attributes = spans[0]?.attributes ?? {};
  assert.equal(Object.keys(attributes).length, 24);
  assert.equal(attributes.a0, 99);
  assert.equal(String(attributes.a1).length, 128);
});
