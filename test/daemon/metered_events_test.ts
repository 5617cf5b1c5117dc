import assert from "node:assert/strict";
import { type ArkEvent, Events, Metrics } from "@ark/node/telemetry";
import { meteredEvents } from "../../src/daemon/metered_events.ts";

Deno.test("meteredEvents() counts requests, outcomes, tokens and time, and passes every event on", async () => {
  const events = new Events();
  const metrics = new Metrics();
  const stop = new AbortController();
  const subscription = events.subscribe(stop.signal);
  const metered = meteredEvents(events, metrics);
  const request = { type: "request", request: "1", direction: "in", peer: "a".repeat(56), model: "m" } as const;
  const all: ArkEvent[] = [
    { ...request, phase: "start" },
    { ...request, phase: "end", outcome: "ok", tokens: 7, ms: 12 },
    { ...request, request: "2", phase: "start" },
    { type: "models", count: 1 },
  ];
  for (const event of all) metered.emit(event);
  const text = metrics.render();
  assert.match(text, /ark_requests_total\{direction="in",outcome="ok"\} 1/);
  assert.match(text, /ark_tokens_total\{direction="in"\} 7/);
  assert.match(text, /ark_requests_running\{direction="in"\} 1/);
  assert.match(text, /ark_request_ms_count\{direction="in"\} 1/);
  assert.ok(!text.includes("aaaa"), "No names of peers");
  const seen: ArkEvent[] = [];
  for await (const event of subscription) {
    seen.push(event);
    if (seen.length === all.length) break;
  }
  stop.abort();
  assert.deepEqual(seen, all);
});
