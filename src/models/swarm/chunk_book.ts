import { Bitfield, CHUNK_BYTES, chunkCount, chunkLength } from "@ark/node/protocol";
import { type ChunkSource, ChunkSources, type Flight, MOST_BAD } from "./chunk_sources.ts";
import type { Pace } from "./pace.ts";

export type { Flight } from "./chunk_sources.ts";

/** Options of {@linkcode ChunkBook}. */
export interface ChunkBookOptions {
  /** Bytes of the file. */
  size: number;
  /** Chunks that are here and checked. */
  have: Pick<Bitfield, "get">;
  /** How many chunks at the beginning come before all others: those in which a model's header lies. @default {1} */
  first?: number;
  /** 0 to 1. @default {Math.random} */
  random?: () => number;
}

/** Chunks that are chosen at random before rarity counts, so that many who begin together have something to exchange. */
const FIRST_RANDOM = 4;
const MOST_COPIES = 2;
/** By how much a source must be faster so that a chunk is left to it. */
const FASTER = 1.5;
/**
 * Who is asked for which chunk next. Knows nothing of networks, disks or clocks: times come with the calls.
 *
 * At first chunks are chosen at random, those of the header before them; then the rarest, ties at random, and in order where
 * everybody has everything. When fewer chunks are left than could be asked for at once, or one is late, a second source may
 * be asked for what is on its way already, where it is expected to be there sooner from there.
 */
export class ChunkBook {
  /** Chunks of the file. */
  readonly count: number;
  readonly #size: number;
  readonly #first: number;
  readonly #random: () => number;
  readonly #done: Bitfield;
  readonly #sources: ChunkSources;
  readonly #flights = new Map<number, Flight[]>();
  /** Chunks that have come and are being checked and written: nobody is asked for them, and who brought them is free. */
  readonly #checking = new Set<number>();

  /** Begins with what is here. */
  constructor({ size, have, first = 1, random = Math.random }: ChunkBookOptions) {
    this.count = chunkCount(size);
    this.#size = size;
    this.#first = Math.min(first, this.count);
    this.#random = random;
    this.#done = new Bitfield(this.count);
    for (let index = 0; index < this.count; index++) if (have.get(index)) this.#done.set(index);
    this.#sources = new ChunkSources(this.count);
  }

  /** Whether every chunk is here. */
  get complete(): boolean {
    return this.#done.full;
  }

  /** Chunks that are neither here nor on their way. */
  get todo(): number {
    const checking = this.#checking.values().filter((index) => !this.#flights.has(index) && !this.#done.get(index));
    return this.count - this.#done.count - this.#flights.size - [...checking].length;
  }

  /** Bytes that are here. */
  get completed(): number {
    const last = this.count - 1;
    const short = this.#done.get(last) ? CHUNK_BYTES - chunkLength(this.#size, last) : 0;
    return this.#done.count * CHUNK_BYTES - short;
  }

  /** Chunks on their way, copies included. */
  get inFlight(): number {
    let count = 0;
    for (const { flights } of this.#sources.values()) count += flights.size;
    return count;
  }

  /** Takes a source that has nothing yet as far as is known. */
  add(key: string, { origin }: { origin: boolean }): void {
    this.#sources.add(key, { origin });
  }

  /** Forgets a source. What was on its way from it is to be fetched again. */
  remove(key: string): void {
    const entry = this.#sources.find(key);
    if (entry === undefined) return;
    for (const index of [...entry.flights.keys()]) this.failed(key, index);
    this.#sources.delete(key);
  }

  /** Notes which chunks a source has. */
  setHave(key: string, has: Bitfield): void {
    const entry = this.#sources.get(key);
    entry.has = has.copy();
    this.#sources.recount();
  }

  /** Notes that a source has not a chunk, whatever was said. */
  clearHave(key: string, index: number): void {
    this.#sources.get(key).has.clear(index);
    this.#sources.recount();
  }

  /** Notes that a source answers. */
  setWell(key: string): void {
    const entry = this.#sources.get(key);
    if (entry.well) return;
    entry.well = true;
    this.#sources.recount();
  }

  /** Notes that a source does not answer: it is asked for nothing, and what it has does not count. */
  setUnwell(key: string): void {
    const entry = this.#sources.get(key);
    if (!entry.well) return;
    entry.well = false;
    this.#sources.recount();
  }

  /** Whether an origin is asked for what no peer has only. */
  setGapsOnly(key: string, gapsOnly: boolean): void {
    this.#sources.get(key).gapsOnly = gapsOnly;
  }

  /** Bad chunks of a source. */
  badOf(key: string): number {
    return this.#sources.get(key).bad;
  }

  /** Whether a source sent too many bad chunks. */
  isBarred(key: string): boolean {
    return this.#sources.get(key).bad >= MOST_BAD;
  }

  /** How fast a source is. */
  paceOf(key: string): Pace {
    return this.#sources.get(key).pace;
  }

  /** Chunks on their way from a source. */
  flightsOf(key: string): number {
    return this.#sources.get(key).flights.size;
  }

  /** Whether a source has a chunk that is not here. */
  isUseful(key: string): boolean {
    const { has, well, bad } = this.#sources.get(key);
    if (!well || bad >= MOST_BAD) return false;
    for (let index = 0; index < this.count; index++) if (has.get(index) && !this.#done.get(index)) return true;
    return false;
  }

  /** Chooses what a source is asked for now, and notes it as on its way; null for nothing. */
  next(key: string, now: number): Flight | null {
    const entry = this.#sources.get(key);
    if (!entry.well || entry.bad >= MOST_BAD || entry.flights.size >= entry.pace.lanes) return null;
    const index = this.#lateOne(entry, now) ?? this.#todoOne(entry, now) ?? this.#lastOne(entry, now);
    if (index === null) return null;
    const flight = { index, key, since: now, lateAt: now + entry.pace.patienceMs, arrived: 0 };
    entry.flights.set(index, flight);
    this.#flights.set(index, [...this.#flights.get(index) ?? [], flight]);
    return flight;
  }

  /** Notes that a chunk has come, and is being checked and written: its source may be asked for the next one meanwhile. */
  arrived(key: string, index: number, now: number): void {
    const entry = this.#sources.get(key);
    const flight = entry.flights.get(index);
    if (flight !== undefined) {
      const length = chunkLength(this.#size, index);
      // Of a short last chunk the way there is most of the time: what that says of a whole one is nothing.
      if (length >= CHUNK_BYTES / 2) entry.pace.chunk((now - flight.since) * CHUNK_BYTES / length);
      this.#land(entry, index);
    }
    this.#checking.add(index);
  }

  /** Whether a chunk is being checked and written. */
  isChecking(index: number): boolean {
    return this.#checking.has(index);
  }

  /** Notes that checking a chunk is over, whatever came of it. */
  checked(index: number): void {
    this.#checking.delete(index);
  }

  /** Notes that a chunk is here and right. Gives the sources from which it is still on its way. */
  done(index: number): string[] {
    this.#done.set(index);
    return (this.#flights.get(index) ?? []).map((other) => other.key);
  }

  /** Notes that a chunk was not what it should be. Gives whether the source is barred now. */
  bad(key: string, index: number): boolean {
    const entry = this.#sources.get(key);
    entry.bad++;
    this.#land(entry, index);
    if (entry.bad >= MOST_BAD) this.#sources.recount();
    return entry.bad >= MOST_BAD;
  }

  /** Notes that a chunk comes no more from a source. */
  failed(key: string, index: number): void {
    const entry = this.#sources.find(key);
    if (entry !== undefined) this.#land(entry, index);
  }

  /** Whether there is a chunk to fetch that no peer has. */
  get hasGaps(): boolean {
    for (let index = 0; index < this.count; index++) {
      if (!this.#done.get(index) && this.#sources.peers(index) === 0) return true;
    }
    return false;
  }

  /** A late chunk of another one, which this source has too. */
  #lateOne(entry: ChunkSource, now: number): number | null {
    for (const [index, flights] of this.#flights) {
      if (!this.#mayCopy(entry, index, flights) || !flights.every(({ lateAt }) => now >= lateAt)) continue;
      return index;
    }
    return null;
  }

  #todoOne(entry: ChunkSource, now: number): number | null {
    const open: number[] = [];
    let rarest = Infinity;
    let all = true;
    const sources = this.#sources.usable().length;
    for (let index = 0; index < this.count; index++) {
      if (!this.#isTodo(index) || !this.#takes(entry, index)) continue;
      const holders = this.#sources.holders(index);
      if (index < this.#first) return index;
      if (holders < sources) all = false;
      if (holders < rarest) {
        rarest = holders;
        open.length = 0;
      }
      if (holders === rarest) open.push(index);
    }
    if (open.length === 0) return null;
    if (this.#sources.isSlow(entry, now) && rarest > this.#rarestOfAll()) return null;
    const inOrder = this.#done.count >= FIRST_RANDOM && all;
    const index = open[inOrder ? 0 : Math.floor(this.#random() * open.length)];
    return index === undefined || this.#wouldBeLast(entry, { index, now }) ? null : index;
  }

  /** The end: a chunk that is on its way from another source, and would be here sooner from this one. */
  #lastOne(entry: ChunkSource, now: number): number | null {
    if (this.todo >= this.#lanes()) return null;
    const mine = entry.pace.chunkMs;
    if (mine === null) return null;
    let best: number | null = null;
    let most = mine * 1.25;
    for (const [index, flights] of this.#flights) {
      if (!this.#mayCopy(entry, index, flights)) continue;
      const left = Math.min(...flights.map((flight) => this.#timeLeft(flight, now)));
      if (left <= most) continue;
      most = left;
      best = index;
    }
    return best;
  }

  /** Milliseconds that a chunk on its way will take yet, as far as can be said. */
  #timeLeft({ key, since, arrived, index }: Flight, now: number): number {
    const usual = this.#sources.find(key)?.pace.chunkMs ?? null;
    const length = chunkLength(this.#size, index);
    const spent = now - since;
    // By how far it has come where something has; by what its source needs for others where nothing has.
    if (arrived > 0) return Math.max(spent * (length - arrived) / arrived, 0);
    return usual === null ? spent : Math.max(usual - spent, spent / 2);
  }

  #isTodo(index: number): boolean {
    return !this.#done.get(index) && !this.#flights.has(index) && !this.#checking.has(index);
  }

  #mayCopy(entry: ChunkSource, index: number, flights: readonly Flight[]): boolean {
    return flights.length < MOST_COPIES && this.#takes(entry, index) && !this.#done.get(index) &&
      !this.#checking.has(index) &&
      flights.every(({ key }) => key !== entry.key);
  }

  #takes(entry: ChunkSource, index: number): boolean {
    return entry.has.get(index) && !(entry.gapsOnly && this.#sources.peers(index) > 0);
  }

  /** Whether faster sources that have a chunk, too, would bring everything before this one has brought it. */
  #wouldBeLast(entry: ChunkSource, { index, now }: { index: number; now: number }): boolean {
    const mine = entry.pace.chunkMs;
    if (mine === null) return false;
    let others = 0;
    for (const { pace, has } of this.#sources.usable()) {
      if (pace.chunkMs !== null && pace.chunkMs * FASTER < mine && has.get(index)) others += pace.flow.rate(now);
    }
    const left = this.#size - this.completed;
    return others > 0 && left / others * 1_000 < mine;
  }

  #rarestOfAll(): number {
    let rarest = Infinity;
    for (let index = 0; index < this.count; index++) {
      const holders = this.#sources.holders(index);
      if (holders > 0 && this.#isTodo(index)) rarest = Math.min(rarest, holders);
    }
    return rarest;
  }

  #lanes(): number {
    return this.#sources.usable().reduce((sum, { pace }) => sum + pace.lanes, 0);
  }

  #land(entry: ChunkSource, index: number): void {
    entry.flights.delete(index);
    const others = (this.#flights.get(index) ?? []).filter(({ key }) => key !== entry.key);
    if (others.length === 0) this.#flights.delete(index);
    else this.#flights.set(index, others);
  }
}
