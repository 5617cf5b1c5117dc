import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "./logger.ts";
import type { FinishedSpan, SpanAttributes, SpanKind } from "./tracer.ts";

/** Options of {@linkcode OtlpExporter}. */
export interface OtlpExporterOptions {
  /** Where spans are posted: OTLP over HTTP, as JSON, usually `…/v1/traces`. */
  endpoint: string;
  /** What every span is from, such as `service.name`. */
  resource: SpanAttributes;
  /** Told of what was sent and what was lost. */
  count?(outcome: "sent" | "dropped", spans: number): void;
  /** Says when the collector cannot be reached, and when it can again. */
  logger?: Pick<Logger, "warn" | "info">;
  /** Most spans that wait; beyond, the newest are lost. @default {2048} */
  queueLimit?: number;
  /** Most spans of one post. @default {512} */
  batchSize?: number;
  /** Time between two posts, in milliseconds. @default {1000} */
  everyMs?: number;
  /** How long a post may take, in milliseconds. @default {2000} */
  timeoutMs?: number;
}

const KINDS: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3 };

/**
 * Posts finished spans to a collector, in batches. Taking a span costs no more than a place in a bounded queue: a collector
 * that is slow or gone costs spans and never time. What could not be posted is not tried again.
 */
export class OtlpExporter {
  readonly #options: Required<Omit<OtlpExporterOptions, "logger" | "count">> & OtlpExporterOptions;
  #queue: FinishedSpan[] = [];
  #wake: () => void = () => {};
  #failing = false;

  /** Makes an exporter; nothing is sent before {@linkcode run}. */
  constructor(options: OtlpExporterOptions) {
    const defaults = { queueLimit: 2_048, batchSize: 512, everyMs: 1_000, timeoutMs: 2_000 };
    this.#options = { ...defaults, ...options };
  }

  /** Spans that wait now. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Takes a span; never waits and never throws. */
  readonly take = (span: FinishedSpan): void => {
    const { queueLimit, batchSize, count } = this.#options;
    if (this.#queue.length >= queueLimit) return count?.("dropped", 1);
    this.#queue.push(span);
    if (this.#queue.length === batchSize) this.#wake();
  };

  /** Posts what waits, again and again until the signal fires; then what is left, once. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      if (this.#queue.length < this.#options.batchSize) {
        const either = AbortSignal.any([signal, woken.signal]);
        await pause(this.#options.everyMs, undefined, { signal: either }).catch(() => {});
      }
      await this.#post();
    }
    for (let left = this.#queue.length; left > 0 && !this.#failing; left = this.#queue.length) await this.#post();
  }

  async #post(): Promise<void> {
    const { endpoint, batchSize, timeoutMs, logger, count, resource } = this.#options;
    const batch = this.#queue.slice(0, batchSize);
    if (batch.length === 0) return;
    this.#queue = this.#queue.slice(batchSize);
    let reason: string | null = null;
    try {
      const response = await fetch(endpoint, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(otlpTraces(batch, resource)),
        // Spans go where the owner said, and nowhere else.
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.body?.cancel();
      if (!response.ok) reason = `it answered ${response.status}`;
    } catch {
      reason = "it cannot be reached, or does not answer in time";
    }
    count?.(reason === null ? "sent" : "dropped", batch.length);
    if (reason !== null && !this.#failing) {
      logger?.warn("The collector of traces takes nothing: spans are lost until it does", { reason });
    }
    if (reason === null && this.#failing) logger?.info("The collector of traces takes spans again");
    this.#failing = reason !== null;
  }
}

/** Spans as the body of an OTLP/JSON post: `ExportTraceServiceRequest` of opentelemetry-proto 1. */
export function otlpTraces(spans: readonly FinishedSpan[], resource: SpanAttributes): unknown {
  return {
    resourceSpans: [{
      resource: { attributes: attributesOf(resource) },
      scopeSpans: [{ scope: { name: "ark-node" }, spans: spans.map(spanOf) }],
    }],
  };
}

function spanOf({ traceId, spanId, parentId, name, kind, from, to, attributes, outcome }: FinishedSpan): unknown {
  return {
    traceId,
    spanId,
    ...parentId === null ? {} : { parentSpanId: parentId },
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanoseconds(from),
    endTimeUnixNano: nanoseconds(to),
    attributes: attributesOf(attributes),
    status: outcome === "ok" ? { code: 1 } : { code: 2, message: outcome },
  };
}

function attributesOf(attributes: SpanAttributes): unknown[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) }));
}

function valueOf(value: string | number | boolean): unknown {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** Milliseconds as a whole number of nanoseconds, in a text: a number of JSON is not exact that far. */
function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms * 1_000)) * 1_000n);
}
