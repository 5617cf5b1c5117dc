/** Where a span stands: W3C Trace Context, level 1. */
export interface TraceContext {
  /** 32 hex digits, not all 0: the same in every span of a trace. */
  readonly traceId: string;
  /** 16 hex digits, not all 0. */
  readonly spanId: string;
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;
const SAMPLED = 1;

/** A context as a `traceparent`: version 00, sampled. */
export function formatTraceparent({ traceId, spanId }: TraceContext): string {
  return `00-${traceId}-${spanId}-01`;
}

/** Reads a `traceparent` by the letter of version 00; null for everything else, and where it says not to sample. */
export function parseTraceparent(value: unknown): TraceContext | null {
  const found = typeof value === "string" && value.length === 55 ? TRACEPARENT.exec(value) : null;
  const [, traceId, spanId, flags] = found ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  return (parseInt(flags, 16) & SAMPLED) === 0 ? null : { traceId, spanId };
}
