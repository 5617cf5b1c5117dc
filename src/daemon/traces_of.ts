import type { Config } from "@ark/node/config";
import { type Identity, shortId } from "@ark/node/identity";
import { type Logger, type Metrics, OtlpExporter, Tracer } from "@ark/node/telemetry";

/** What makes spans, and what sends them away. */
export interface Traces {
  /** Makes spans. */
  readonly tracer: Tracer;
  /** Sends them. */
  readonly exporter: OtlpExporter;
}

/** The traces of a node, or null where its owner wants none: then no span is made, and no peer is told of one. */
export function tracesOf(
  { traceEndpoint: endpoint, name }: Pick<Config, "traceEndpoint" | "name">,
  { identity, version, metrics, logger }: { identity: Identity; version: string; metrics: Metrics; logger: Logger },
): Traces | null {
  if (endpoint === null) return null;
  logger.info("Traces of requests are sent to a collector", { address: new URL(endpoint).host });
  const spans = metrics.counter("ark_trace_spans_total", "Spans of traces, by what became of them.", ["outcome"]);
  const exporter = new OtlpExporter({
    endpoint,
    resource: {
      "service.name": "ark-node",
      "service.version": version,
      "service.instance.id": shortId(identity.id),
      "ark.name": name,
    },
    count: (outcome, count) => spans.add(count, { outcome }),
    logger,
  });
  return { tracer: new Tracer(exporter.take), exporter };
}
