import { formatTraceparent, type TraceContext } from "./traceparent.ts";

/**
 * What a span may say: numbers, and words of this program's own or names of models and nodes. Never text of a prompt or an
 * answer, and no token of them.
 */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** How a span stands to others: a request that came, one that was sent, or work in between. */
export type SpanKind = "server" | "client" | "internal";

/** A span that is over. Times are milliseconds since 1970. */
export interface FinishedSpan extends TraceContext {
  /** The span that it belongs to, or null where the trace begins. */
  readonly parentId: string | null;
  /** What was done. */
  readonly name: string;
  /** How it stands to others. */
  readonly kind: SpanKind;
  /** When it began. */
  readonly from: number;
  /** When it ended. */
  readonly to: number;
  /** What is known of it. */
  readonly attributes: SpanAttributes;
  /** `ok`, or the code of what failed. */
  readonly outcome: string;
}

/** Options of a new span. */
export interface SpanOptions {
  /** How it stands to others. @default {"internal"} */
  kind?: SpanKind;
  /** What is known of it from the start. */
  attributes?: SpanAttributes;
}

/** Something that takes time. It is told of when it ends. */
export interface Span {
  /** Where it stands, for others that go on with the trace. */
  readonly traceparent: string;
  /** Begins a part of it. */
  child(name: string, options?: SpanOptions): Span;
  /** Tells of a part of it that is over: how long ago it began and ended, in milliseconds. */
  past(name: string, ago: { from: number; to: number; attributes?: SpanAttributes }): void;
  /** Adds to what is known of it. */
  set(attributes: SpanAttributes): void;
  /** Ends it, once: a second end says nothing. @param outcome `ok`, or the code of what failed. */
  end(outcome?: string): void;
}

/** Where finished spans go. It must neither wait nor throw. */
export type SpanSink = (span: FinishedSpan) => void;

const MOST_ATTRIBUTES = 24;
const MOST_CHARACTERS = 128;

/** Makes spans, and hands each to its sink when it is over. */
export class Tracer {
  readonly #sink: SpanSink;

  /** Makes a tracer. */
  constructor(sink: SpanSink) {
    this.#sink = sink;
  }

  /** Begins a span: of a new trace, or of the one that another node began. */
  start(name: string, { parent = null, ...options }: SpanOptions & { parent?: TraceContext | null } = {}): Span {
    const traceId = parent?.traceId ?? randomHex(16);
    return new RunningSpan(this.#sink, { ...options, name, traceId, parentId: parent?.spanId ?? null });
  }
}

interface Begun extends SpanOptions {
  name: string;
  traceId: string;
  parentId: string | null;
}

class RunningSpan implements Span {
  readonly #sink: SpanSink;
  readonly #begun: Begun;
  readonly #spanId = randomHex(8);
  readonly #from = now();
  #attributes: Record<string, string | number | boolean>;
  #ended = false;

  constructor(sink: SpanSink, begun: Begun) {
    this.#sink = sink;
    this.#begun = begun;
    this.#attributes = bounded({}, begun.attributes);
  }

  get traceparent(): string {
    return formatTraceparent({ traceId: this.#begun.traceId, spanId: this.#spanId });
  }

  child(name: string, options: SpanOptions = {}): Span {
    return new RunningSpan(this.#sink, { ...options, name, traceId: this.#begun.traceId, parentId: this.#spanId });
  }

  past(name: string, { from, to, attributes }: { from: number; to: number; attributes?: SpanAttributes }): void {
    const moment = now();
    this.#sink({
      traceId: this.#begun.traceId,
      spanId: randomHex(8),
      parentId: this.#spanId,
      name,
      kind: "internal",
      // A part never begins before the whole: what an engine says it took is rounded.
      from: Math.max(this.#from, moment - from),
      to: Math.max(this.#from, moment - to),
      attributes: bounded({}, attributes),
      outcome: "ok",
    });
  }

  set(attributes: SpanAttributes): void {
    this.#attributes = bounded(this.#attributes, attributes);
  }

  end(outcome = "ok"): void {
    if (this.#ended) return;
    this.#ended = true;
    const { name, kind = "internal", traceId, parentId } = this.#begun;
    const attributes = this.#attributes;
    this.#sink({
      traceId,
      spanId: this.#spanId,
      parentId,
      name,
      kind,
      from: this.#from,
      to: now(),
      attributes,
      outcome,
    });
  }
}

/** Milliseconds since 1970 that never go backwards within a run, whatever is done to the clock. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function bounded(
  known: SpanAttributes,
  more: SpanAttributes = {},
): Record<string, string | number | boolean> {
  const found: Record<string, string | number | boolean> = { ...known };
  for (const [name, value] of Object.entries(more)) {
    if (!(name in found) && Object.keys(found).length >= MOST_ATTRIBUTES) continue;
    found[name] = typeof value === "string" ? value.toWellFormed().slice(0, MOST_CHARACTERS) : value;
  }
  return found;
}

/** Random bytes in hex; never all 0 but by a chance of one in 2^64. */
function randomHex(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}
