import type { NodeId } from "@ark/node/identity";
import { ALIVE_FRAME, encodeOfferUpdate, type Offer, offerUpdates } from "@ark/node/protocol";

/** What {@linkcode OfferStreams} needs. */
export interface OfferStreamsOptions {
  /** What is offered now: called once for all the streams that are brought up to date together. */
  stock(): {
    /** What is offered to one peer, or null where it may not ask any more. */
    for(id: NodeId): Offer | null;
  };
  /** Whether this node answers a request of a peer now, which then hears from it more often. */
  serves(id: NodeId): boolean;
  /**
   * Begins to watch for changes; disposed of when no stream is open. Where it cannot hear of all of them, it says
   * `looks`: then offers are made anew with each sign of life.
   */
  watch(): Disposable & { looks: boolean };
}

/** Streams of one peer at once. One more ends its oldest: a peer that comes again has lost the one before. */
const MOST_STREAMS = 2;
/** How long the first change waits for others of the same moment, in milliseconds. */
const GATHER_MS = 5;
/** Shortest time between two updates of all streams, in milliseconds. */
const APART_MS = 100;
/** What a stream says in a second at most over time, in bytes; what is more has to wait longer for the next update. */
const BYTES_PER_SECOND = 512 << 10;
/** Longest silence of a stream, in milliseconds: while this node answers a request of that peer, and else. */
const SILENCE_MS = { serving: 400, idle: 1_600 };
/** What a peer may leave unread before it is told nothing more, in bytes. */
const UNREAD_BYTES = 64 << 10;

interface Stream {
  readonly id: NodeId;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** What the peer knows, once it has read everything. */
  told: Offer | null;
  /** Frames of one change that wait for the peer to read. */
  pending: Uint8Array[];
  /** Whether something may have changed since. */
  stale: boolean;
  /** Monotonic times in milliseconds. */
  saidAt: number;
  quietUntil: number;
}

/**
 * The streams on which approved peers hear what is offered to them. A change goes out within a tenth of a second; many at
 * once are one. Nothing that waits to be read grows: whoever reads slowly is told less often.
 */
export class OfferStreams {
  readonly #options: OfferStreamsOptions;
  readonly #streams = new Set<Stream>();
  #watch: (Disposable & { looks: boolean }) | null = null;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #flush: ReturnType<typeof setTimeout> | undefined;
  #flushedAt = -Infinity;

  /** Makes it without any stream. */
  constructor(options: OfferStreamsOptions) {
    this.#options = options;
  }

  /** How many are open. */
  get count(): number {
    return this.#streams.size;
  }

  /** Opens a stream for a peer: first the whole offer, then what changes, and signs of life. */
  open(id: NodeId): Response {
    const own = [...this.#streams].filter((stream) => stream.id === id);
    for (const stream of own.slice(0, Math.max(0, own.length - MOST_STREAMS + 1))) this.#end(stream);
    let stream: Stream | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        stream = { id, controller, told: null, pending: [], stale: true, saidAt: 0, quietUntil: 0 };
        this.#streams.add(stream);
        this.#begin();
        this.#tell(stream, this.#options.stock());
      },
      pull: () => {
        if (stream !== undefined) this.#goOn(stream);
      },
      cancel: () => {
        if (stream !== undefined) this.#forget(stream);
      },
    }, new ByteLengthQueuingStrategy({ highWaterMark: UNREAD_BYTES }));
    return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
  }

  /** Something may have changed. */
  changed(): void {
    if (this.#streams.size === 0 || this.#flush !== undefined) return;
    const wait = Math.max(GATHER_MS, this.#flushedAt + APART_MS - performance.now());
    this.#flush = setTimeout(() => this.flush(), wait);
  }

  /** Tells every peer at once what has changed. */
  flush(): void {
    clearTimeout(this.#flush);
    this.#flush = undefined;
    this.#flushedAt = performance.now();
    if (this.#streams.size === 0) return;
    const stock = this.#options.stock();
    for (const stream of [...this.#streams]) {
      stream.stale = true;
      this.#tell(stream, stock);
    }
  }

  /** Ends all streams. */
  close(): void {
    for (const stream of [...this.#streams]) this.#end(stream);
  }

  #begin(): void {
    if (this.#watch !== null) return;
    this.#watch = this.#options.watch();
    this.#heartbeat = setInterval(() => this.#beat(), SILENCE_MS.serving);
  }

  #beat(): void {
    if (this.#watch?.looks === true) this.changed();
    const now = performance.now();
    for (const stream of this.#streams) {
      const silence = this.#options.serves(stream.id) ? SILENCE_MS.serving : SILENCE_MS.idle;
      // A beat comes a little early or late.
      if (now - stream.saidAt >= silence - SILENCE_MS.serving / 2 && roomIn(stream)) this.#say(stream, ALIVE_FRAME);
      // A limit over time ends with nothing that happens.
      if (stream.stale || stream.told?.free_slots === 0) this.changed();
    }
  }

  /** The peer has read some of what was said. */
  #goOn(stream: Stream): void {
    while (stream.pending.length > 0 && roomIn(stream)) {
      const frame = stream.pending.shift();
      if (frame !== undefined) this.#say(stream, frame);
    }
    if (stream.pending.length === 0 && stream.stale && performance.now() >= stream.quietUntil) this.changed();
  }

  #tell(stream: Stream, stock: ReturnType<OfferStreamsOptions["stock"]>): void {
    if (stream.pending.length > 0 || performance.now() < stream.quietUntil || !roomIn(stream)) return;
    const offer = stock.for(stream.id);
    if (offer === null) return this.#end(stream);
    stream.stale = false;
    stream.pending = offerUpdates(stream.told, offer).map(encodeOfferUpdate);
    stream.told = offer;
    const bytes = stream.pending.reduce((sum, { length }) => sum + length, 0);
    stream.quietUntil = performance.now() + bytes * 1_000 / BYTES_PER_SECOND;
    this.#goOn(stream);
  }

  #say(stream: Stream, frame: Uint8Array): void {
    stream.saidAt = performance.now();
    stream.controller.enqueue(frame);
  }

  #end(stream: Stream): void {
    if (!this.#streams.has(stream)) return;
    this.#forget(stream);
    stream.controller.close();
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream);
    stream.pending = [];
    if (this.#streams.size > 0) return;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#flush);
    this.#flush = undefined;
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
  }
}

function roomIn({ controller }: Stream): boolean {
  return (controller.desiredSize ?? 0) > 0;
}
