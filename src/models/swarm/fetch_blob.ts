import { ArkError, CHUNK_BYTES, chunkLength } from "@ark/node/protocol";
import { ChunkBook, type Flight } from "./chunk_book.ts";
import { Flow } from "./pace.ts";
import type { ChunkSink, FetchBlobOptions } from "./fetch_options.ts";
import { patiently } from "./patiently.ts";
import type { FetchReport, PieceSource } from "./piece_source.ts";
import { nobodyLeft, progressOf } from "./progress_of.ts";
import { SourceState } from "./source_state.ts";
import { SWARM_CLOCK, type SwarmClock } from "./swarm_clock.ts";
import { Tiers } from "./tiers.ts";

/**
 * Most chunks on their way or being checked at once: the memory that a pull takes. A source alone sends four at once, and three
 * more are checked meanwhile.
 */
const MOST_FLIGHTS = 12;
const FLIGHTS_OF_ONE = 7;
const FLIGHTS_MORE = 2;
/** How often it is looked at what is late, in milliseconds. */
const TICK_MS = 100;
const TELL_MS = 250;
const ADAPT_MS = 500;
const POLL_MS = 2_000;
const DISCOVER_MS = 5_000;

/**
 * Fetches what is missing of a file from all who have it. Every chunk is checked before it is kept; a source that sends wrong
 * ones is asked for nothing more. Sources may come and go.
 *
 * @throws {ArkError} `unavailable`, with a sentence that names every source and why it gives nothing. What came is kept.
 * @throws the signal's reason when it is aborted.
 */
export async function fetchBlob(sink: ChunkSink, options: FetchBlobOptions): Promise<FetchReport> {
  const fetching = new Fetching(sink, options);
  try {
    return await fetching.run();
  } finally {
    await fetching.end();
  }
}

class Fetching {
  readonly #sink: ChunkSink;
  readonly #options: FetchBlobOptions;
  readonly #clock: SwarmClock;
  readonly #book: ChunkBook;
  readonly #tiers: Tiers;
  readonly #states = new Map<string, SourceState>();
  /** Rooms for one chunk each, which threads may read without a copy. */
  readonly #buffers: Uint8Array[] = [];
  readonly #aborts = new Map<Flight, AbortController>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #flow = new Flow();
  readonly #peerFlow = new Flow();
  readonly #begun: number;
  readonly #before: number;
  #wasted = 0;
  #wake: () => void = () => {};
  #failure: { error: unknown } | null = null;
  #movedAt: number;
  #toldAt = -Infinity;
  #adaptAt = 0;
  #discoverAt: number;
  #discovering = false;
  #discovered = false;

  constructor(sink: ChunkSink, options: FetchBlobOptions) {
    const { sources, clock = SWARM_CLOCK, link = 0, first = 1, random = Math.random } = options;
    this.#sink = sink;
    this.#options = options;
    this.#clock = clock;
    this.#book = new ChunkBook({ size: sink.size, have: sink.have, first, random });
    this.#tiers = new Tiers(link);
    this.#begun = this.#movedAt = clock.now();
    this.#before = this.#book.completed;
    this.#discoverAt = this.#begun + DISCOVER_MS;
    for (const source of sources) this.#join(source);
  }

  async run(): Promise<FetchReport> {
    const { signal } = this.#options;
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake);
    try {
      while (!this.#book.complete) {
        signal.throwIfAborted();
        if (this.#failure !== null) throw this.#failure.error;
        this.#look();
        const woken = new AbortController();
        this.#wake = () => woken.abort();
        await this.#clock.sleep(TICK_MS, woken.signal);
      }
    } finally {
      signal.removeEventListener("abort", wake);
      this.#wake = () => {};
    }
    return this.#report();
  }

  /** Ends what is on its way, and waits for it: nobody writes into a buffer or the file afterwards. */
  async end(): Promise<void> {
    this.#stop.abort();
    for (const abort of this.#aborts.values()) abort.abort();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#tell(this.#clock.now());
  }

  #look(): void {
    const now = this.#clock.now();
    const all = this.#flow.rate(now);
    this.#tiers.look({ peers: this.#peerFlow.rate(now), all, now });
    for (const state of this.#states.values()) this.#tend(state, now);
    if (now >= this.#discoverAt) this.#discover(now);
    if (now >= this.#adaptAt) {
      this.#adaptAt = now + ADAPT_MS;
      for (const { source: { key } } of this.#active(now)) {
        const pace = this.#book.paceOf(key);
        if (this.#book.flightsOf(key) >= pace.lanes) pace.adapt(now);
      }
    }
    this.#pump(now);
    if (now - this.#toldAt >= TELL_MS) this.#tell(now);
    this.#checkHope(now);
  }

  #tend(state: SourceState, now: number): void {
    const { key, kind } = state.source;
    if (kind === "origin") {
      this.#book.setGapsOnly(key, !this.#tiers.open);
      state.needed = this.#tiers.open || (this.#peersKnown && this.#book.hasGaps);
    }
    if (
      state.gone || state.polling || !state.needed || state.pollAt === null ||
      now < Math.max(state.pollAt, state.resumeAt)
    ) return;
    state.polling = true;
    this.#task(this.#poll(state));
  }

  /** Whether every peer has said which chunks it has, or does not answer: before, nobody can tell what peers lack. */
  get #peersKnown(): boolean {
    return this.#states.values().every(({ source, gone, known }) => source.kind === "origin" || gone || known);
  }

  /** Asks a source which chunks it has. */
  async #poll(state: SourceState): Promise<void> {
    const { source } = state;
    const { key } = source;
    try {
      const have = await source.have(this.#stop.signal);
      if (state.gone || this.#stop.signal.aborted) return;
      if (have.length !== this.#book.count) throw new ArkError("unavailable", "It says that the file has another size");
      state.answered();
      this.#book.setHave(key, have);
      this.#book.setWell(key);
      // Whoever has everything need not be asked again, until it refuses a chunk.
      state.pollAt = have.full ? null : this.#clock.now() + POLL_MS;
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const now = this.#clock.now();
      state.pollAt = now;
      if (error instanceof ArkError && (error.code === "model_not_found" || error.code === "forbidden")) {
        this.#leave(state, error.message);
      } else if (!state.failed(error, now) && state.failing) this.#book.setUnwell(key);
    } finally {
      state.known = true;
      state.polling = false;
      this.#wake();
    }
  }

  #discover(now: number): void {
    const { discover } = this.#options;
    this.#discoverAt = now + DISCOVER_MS;
    if (discover === undefined || this.#discovering) return;
    this.#discovering = true;
    const known = new Set([...this.#states.values()].filter(({ gone }) => !gone).map(({ source }) => source.key));
    this.#task(
      discover(known, this.#stop.signal).then((found) => found.forEach((source) => this.#join(source)), () => {})
        .finally(() => {
          this.#discovering = false;
          this.#discovered = true;
          this.#wake();
        }),
    );
  }

  #join(source: PieceSource): void {
    const before = this.#states.get(source.key);
    if (before !== undefined) {
      // One that left may come back; one that sent wrong bytes may not.
      if (!before.gone || this.#book.isBarred(source.key)) return;
      before.gone = false;
      before.pollAt = before.resumeAt = 0;
      return;
    }
    this.#book.add(source.key, { origin: source.kind === "origin" });
    this.#states.set(source.key, new SourceState(source));
  }

  #leave(state: SourceState, reason: string): void {
    state.leave(reason);
    this.#book.setUnwell(state.source.key);
    this.#abortAll(state.source.key);
  }

  /** Sources that may be asked for chunks now, the fastest first. */
  #active(now: number): SourceState[] {
    return [...this.#states.values()]
      .filter((state) => !state.gone && state.needed && now >= state.resumeAt)
      .toSorted((a, b) => this.#rate(b, now) - this.#rate(a, now));
  }

  #rate({ source: { key } }: SourceState, now: number): number {
    return this.#book.paceOf(key).flow.rate(now);
  }

  #pump(now: number): void {
    const active = this.#active(now);
    const most = Math.min(MOST_FLIGHTS, FLIGHTS_OF_ONE + FLIGHTS_MORE * (active.length - 1));
    // One chunk for each in turn, so that none takes all the room.
    for (let asked = true; asked;) {
      asked = false;
      for (const state of active) {
        if (this.#aborts.size >= most) return;
        if (state.resumeAt > now) continue;
        const flight = this.#book.next(state.source.key, now);
        if (flight === null) continue;
        asked = true;
        this.#task(this.#fetch(state, flight));
      }
    }
  }

  async #fetch(state: SourceState, flight: Flight): Promise<void> {
    const { source } = state;
    const { key } = source;
    const { index } = flight;
    const abort = new AbortController();
    this.#aborts.set(flight, abort);
    state.busy(flight.since);
    const pace = this.#book.paceOf(key);
    const length = chunkLength(this.#sink.size, index);
    const arrived = (bytes: number) => {
      const now = this.#clock.now();
      const more = Math.min(length, bytes) - flight.arrived;
      if (more <= 0) return;
      flight.arrived += more;
      for (const flow of [pace.flow, this.#flow, ...source.kind === "peer" ? [this.#peerFlow] : []]) {
        flow.add(more, now);
      }
    };
    const into = this.#buffers.pop() ?? new Uint8Array(new SharedArrayBuffer(CHUNK_BYTES));
    try {
      const bytes = await patiently(
        flight,
        { abort, clock: this.#clock },
        () => source.fetch(index, { signal: abort.signal, into, arrived }),
      );
      arrived(length);
      await this.#keep(state, { flight, bytes });
    } catch (error) {
      this.#lost(state, { flight, error, aborted: abort.signal.aborted });
    } finally {
      this.#aborts.delete(flight);
      this.#buffers.push(into);
      if (this.#book.flightsOf(key) === 0) state.idle(this.#clock.now());
      this.#wake();
    }
  }

  async #keep(state: SourceState, { flight: { index }, bytes }: { flight: Flight; bytes: Uint8Array }): Promise<void> {
    const { key } = state.source;
    const length = chunkLength(this.#sink.size, index);
    if (this.#sink.have.get(index) || this.#book.isChecking(index)) {
      this.#wasted += length;
      this.#book.failed(key, index);
      return;
    }
    this.#book.arrived(key, index, this.#clock.now());
    // Its source has a place free: to hash and to write takes longer than the way from a near one.
    this.#wake();
    try {
      if (!await this.#sink.write(index, bytes)) {
        this.#wasted += length;
        this.#wrong(state, index);
        return;
      }
    } catch (error) {
      // Not the source's fault: the disk cannot take it.
      this.#failure = { error };
      return;
    } finally {
      this.#book.checked(index);
    }
    const now = this.#clock.now();
    state.kept(length);
    this.#book.setWell(key);
    this.#movedAt = now;
    for (const other of this.#book.done(index)) {
      for (const [flight, abort] of this.#aborts) {
        if (flight.key === other && flight.index === index) abort.abort(new Error("it is here"));
      }
    }
  }

  #wrong(state: SourceState, index: number): void {
    const barred = this.#book.bad(state.source.key, index);
    if (barred) {
      state.leave("it sent pieces that are not what they should be");
      this.#abortAll(state.source.key);
    }
    this.#options.wrong?.(state.source, barred);
  }

  #lost(state: SourceState, { flight, error, aborted }: { flight: Flight; error: unknown; aborted: boolean }): void {
    const { key } = state.source;
    this.#wasted += this.#book.complete || this.#sink.have.get(flight.index) ? flight.arrived : 0;
    this.#book.failed(key, flight.index);
    const silent = aborted && error instanceof ArkError && error.code === "unavailable";
    if ((aborted && !silent) || state.gone || this.#stop.signal.aborted) return;
    const now = this.#clock.now();
    if (error instanceof ArkError && error.code === "forbidden") return this.#leave(state, error.message);
    if (error instanceof ArkError && error.code === "model_not_found") {
      // Whether it has only this chunk not, or gives nothing any more, it says when it is asked what it has.
      this.#book.clearHave(key, flight.index);
      if (state.refused(now)) this.#leave(state, "it gives not what it says that it has");
      return;
    }
    if (state.failed(error, now)) this.#book.paceOf(key).fewer(now);
    else if (state.failing) {
      this.#book.setUnwell(key);
      state.pollAt = now;
    }
  }

  #abortAll(key: string): void {
    for (const [flight, abort] of this.#aborts) if (flight.key === key) abort.abort(new Error("it is asked no more"));
  }

  /** Ends the fetching where nobody is left who could bring what is missing. */
  #checkHope(now: number): void {
    if (this.#aborts.size > 0 || this.#book.complete) return;
    const states = [...this.#states.values()];
    const hopeful = states.some(({ gone, source }) => !gone && !this.#book.isBarred(source.key));
    if (hopeful && now - this.#movedAt < (this.#options.idleMs ?? 60_000)) return;
    if (!hopeful && this.#options.discover !== undefined && !this.#discovered) {
      this.#discoverAt = Math.min(this.#discoverAt, now);
      return;
    }
    if (!hopeful && this.#discovering) return;
    this.#failure = { error: nobodyLeft(states) };
    this.#wake();
  }

  #task(work: Promise<void>): void {
    const tracked: Promise<void> = work.catch((error) => {
      this.#failure ??= { error };
    }).finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }

  #tell(now: number): void {
    this.#toldAt = now;
    const { tell } = this.#options;
    if (tell === undefined) return;
    tell(progressOf({ size: this.#sink.size, book: this.#book, states: this.#states.values(), flow: this.#flow, now }));
  }

  #report(): FetchReport {
    const now = this.#clock.now();
    return {
      bytes: this.#sink.size - this.#before,
      ms: Math.round(now - this.#begun),
      wasted: this.#wasted,
      link: this.#tiers.link,
      sources: [...this.#states.values()].map((state) => state.report(this.#book.badOf(state.source.key), now)),
    };
  }
}
