/**
 * What a node tells about itself: log lines, metrics, and events for the dashboard.
 *
 * Promises:
 * - Nothing here carries text of a prompt or an answer. {@linkcode Logger} writes an allow-list of fields and drops the
 *   rest, {@linkcode ArkEvent} is a closed union, labels of {@linkcode Metrics} are bounded in length and number.
 * - Names that others chose cannot forge a line, move a cursor or turn text around: see {@linkcode escaped}.
 * - Telling never holds the node up: a full queue drops its oldest events and counts them, a terminal that is gone
 *   is ignored.
 *
 * Not promised: that a message is kept. What must be kept is the audit log's.
 *
 * @example
 * ```ts
 * import { Logger, Metrics } from "@ark/node/telemetry";
 *
 * const lines: string[] = [];
 * const logger = new Logger({ format: "json", write: (line) => lines.push(line) });
 * logger.info("Peer asked", { peer: "yw7qkl2m", model: "llama3.1:8b", ms: 12.5 });
 *
 * const metrics = new Metrics();
 * const requests = metrics.counter("ark_requests_total", "Requests served.", ["outcome"]);
 * requests.add(1, { outcome: "ok" });
 * console.log(metrics.render()); // … ark_requests_total{outcome="ok"} 1
 * ```
 *
 * @module
 */
export * from "./escaped.ts";
export * from "./events.ts";
export * from "./logger.ts";
export * from "./metrics.ts";
export * from "./otlp_exporter.ts";
export * from "./traceparent.ts";
export * from "./tracer.ts";
