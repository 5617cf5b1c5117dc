import { Bitfield } from "@ark/node/protocol";
import { Pace } from "./pace.ts";

/** A chunk on its way from a source. */
export interface Flight {
  /** Which chunk. */
  readonly index: number;
  /** From whom. */
  readonly key: string;
  /** When it was asked for, in monotonic milliseconds. */
  readonly since: number;
  /** From when on others may be asked for it. */
  readonly lateAt: number;
  /** Bytes of it that have come. */
  arrived: number;
}

/** A source as far as it matters which chunks it is asked for. */
export interface ChunkSource {
  /** Who it is. */
  readonly key: string;
  /** Whether it is where the file comes from, and no peer. */
  readonly origin: boolean;
  /** How fast it is. */
  readonly pace: Pace;
  /** The chunks that it has. */
  has: Bitfield;
  /** Chunks on their way, by index. */
  readonly flights: Map<number, Flight>;
  /** Chunks of it that were not what they should be. */
  bad: number;
  /** Whether it may be asked at all, and counts as one who has its chunks. */
  well: boolean;
  /** Whether it is asked only for what no peer has. */
  gapsOnly: boolean;
}

/** Bad chunks after which a source is asked for nothing more. */
export const MOST_BAD = 2;
/** A source that is so many times slower than the best one gets the rarest chunks only. */
const SLOW = 8;

/** The sources of a file, and how many of them have each of its chunks. */
export class ChunkSources {
  readonly #count: number;
  readonly #sources = new Map<string, ChunkSource>();
  /** How many peers and open origins have a chunk. */
  readonly #holders: Uint16Array;
  /** How many peers have a chunk. */
  readonly #peers: Uint16Array;

  /** Begins without any, for a file of so many chunks. */
  constructor(count: number) {
    this.#count = count;
    this.#holders = new Uint16Array(count);
    this.#peers = new Uint16Array(count);
  }

  /** Takes one that has nothing yet as far as is known; one that is here stays as it is. */
  add(key: string, { origin }: { origin: boolean }): void {
    if (this.#sources.has(key)) return;
    const has = new Bitfield(this.#count);
    const pace = new Pace();
    this.#sources.set(key, { key, origin, pace, has, flights: new Map(), bad: 0, well: true, gapsOnly: origin });
  }

  /** Forgets one. */
  delete(key: string): void {
    this.#sources.delete(key);
    this.recount();
  }

  /** One of them, or undefined. */
  find(key: string): ChunkSource | undefined {
    return this.#sources.get(key);
  }

  /** One of them. @throws {RangeError} where there is none. */
  get(key: string): ChunkSource {
    const source = this.#sources.get(key);
    if (source === undefined) throw new RangeError(`There is no source ${key}`);
    return source;
  }

  /** All of them. */
  values(): Iterable<ChunkSource> {
    return this.#sources.values();
  }

  /** How many peers and open origins have a chunk. */
  holders(index: number): number {
    return this.#holders[index] ?? 0;
  }

  /** How many peers have a chunk. */
  peers(index: number): number {
    return this.#peers[index] ?? 0;
  }

  /** Those that may be asked, and count. */
  usable(): ChunkSource[] {
    return [...this.#sources.values()].filter(({ well, bad }) => well && bad < MOST_BAD);
  }

  /** Whether one is so much slower than the best one that it gets the rarest chunks only. */
  isSlow(entry: ChunkSource, now: number): boolean {
    if (entry.pace.chunkMs === null) return false;
    let best = 0;
    for (const each of this.usable()) best = Math.max(best, each.pace.flow.rate(now));
    return entry.pace.flow.rate(now) < best / SLOW;
  }

  /** Counts anew who has which chunk, after a change of that. */
  recount(): void {
    this.#holders.fill(0);
    this.#peers.fill(0);
    for (const { has, origin } of this.usable()) {
      for (let index = 0; index < this.#count; index++) {
        if (!has.get(index)) continue;
        this.#holders[index] = (this.#holders[index] ?? 0) + 1;
        if (!origin) this.#peers[index] = (this.#peers[index] ?? 0) + 1;
      }
    }
  }
}
