/** A swarm in virtual time: sources of given speeds that fail as a test says, and a file that is only counted. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { ArkError, Bitfield, CHUNK_BYTES, chunkCount, chunkLength } from "@ark/node/protocol";
import type { PieceRequest, PieceSource } from "../../../src/models/swarm/piece_source.ts";
import type { ChunkSink } from "../../../src/models/swarm/fetch_options.ts";
import type { SwarmClock } from "../../../src/models/swarm/swarm_clock.ts";

/** Time that goes on when nothing is left to do at the moment. */
export class VirtualClock implements SwarmClock {
  #now = 0;
  #timers: { at: number; fire: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = { at: this.#now + Math.max(0, ms), fire: resolve };
    this.#timers.push(timer);
    signal.addEventListener("abort", () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
      resolve();
    }, { once: true });
    return promise;
  }

  /** Lets time go on until the work is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const watched = work.finally(() => over = true);
    watched.catch(() => {});
    for (;;) {
      // Everything that can happen now happens before time goes on.
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (over) return await watched;
      const next = this.#timers.reduce<{ at: number } | null>((a, b) => a === null || b.at < a.at ? b : a, null);
      if (next === null) continue;
      this.#now = Math.max(this.#now, next.at);
      const due = this.#timers.filter(({ at }) => at <= this.#now);
      this.#timers = this.#timers.filter(({ at }) => at > this.#now);
      for (const { fire } of due) fire();
    }
  }
}

/** What a source is like. */
export interface Nature {
  /** Bytes a second. */
  rate: number;
  /** How long a chunk takes before its first byte is sent, in virtual milliseconds: the way there, and what is looked up. */
  delayMs?: number;
  /** From when on nothing comes any more, in virtual milliseconds. */
  hangsAt?: number;
  /** From when on every request fails at once. */
  diesAt?: number;
  /** From when on it answers again. */
  returnsAt?: number;
  /** From when on it says that it gives nothing. */
  refusesAt?: number;
  /** Chunks that it sends wrong: whether this answer is. */
  lies?: (index: number) => boolean;
  /** What it has; everything where absent. */
  has?: (now: number) => Bitfield;
  /** Whether it says to be busy, for how many seconds. */
  busy?: (now: number) => number | null;
  kind?: "peer" | "origin";
}

const PIECE_BYTES = 256 << 10;

/** A source of that nature. */
export class VirtualSource implements PieceSource {
  readonly key: string;
  readonly name: string;
  readonly kind: "peer" | "origin";
  readonly nature: Nature;
  /** Bytes that it sent. */
  sent = 0;
  /** Requests for chunks. */
  asked = 0;
  readonly #clock: VirtualClock;
  readonly #size: number;
  #freeAt = 0;

  constructor(name: string, { clock, size, nature }: { clock: VirtualClock; size: number; nature: Nature }) {
    this.key = this.name = name;
    this.kind = nature.kind ?? "peer";
    this.nature = nature;
    this.#clock = clock;
    this.#size = size;
  }

  have(): Promise<Bitfield> {
    try {
      this.#answer();
    } catch (error) {
      return Promise.reject(error);
    }
    return Promise.resolve(this.nature.has?.(this.#clock.now()) ?? Bitfield.full(chunkCount(this.#size)));
  }

  async fetch(index: number, { signal, into, arrived }: PieceRequest): Promise<Uint8Array> {
    const { rate, lies, busy, has, delayMs = 0 } = this.nature;
    this.asked++;
    await this.#clock.sleep(delayMs, signal);
    this.#answer();
    const wait = busy?.(this.#clock.now()) ?? null;
    if (wait !== null) throw new ArkError("busy", "Busy", { retryAfterSeconds: wait });
    if (has !== undefined && !has(this.#clock.now()).get(index)) throw new ArkError("model_not_found", "Not here");
    const length = chunkLength(this.#size, index);
    for (let done = 0; done < length;) {
      if (this.#hangs) await this.#never(signal);
      const piece = Math.min(PIECE_BYTES, length - done);
      this.#freeAt = Math.max(this.#freeAt, this.#clock.now()) + piece / rate * 1_000;
      await this.#clock.sleep(this.#freeAt - this.#clock.now(), signal);
      signal.throwIfAborted();
      if (this.#hangs) await this.#never(signal);
      this.#answer();
      done += piece;
      this.sent += piece;
      arrived?.(done);
    }
    const bytes = into.subarray(0, length);
    new DataView(bytes.buffer).setUint32(0, lies?.(index) ? 0xffffffff : index);
    return bytes;
  }

  get #hangs(): boolean {
    return this.#within(this.nature.hangsAt);
  }

  #within(from: number | undefined): boolean {
    const now = this.#clock.now();
    return from !== undefined && now >= from && now < (this.nature.returnsAt ?? Infinity);
  }

  #answer(): void {
    if (this.#within(this.nature.diesAt)) throw new Error("connection refused");
    if (this.#within(this.nature.refusesAt)) throw new ArkError("model_not_found", "It does not share it");
  }

  #never(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }
}

/** A file of which only is counted what was kept. */
export class CountedFile implements ChunkSink {
  readonly size: number;
  readonly have: Bitfield;
  /** The chunks in the order in which they were kept. */
  readonly order: number[] = [];

  constructor(size: number) {
    this.size = size;
    this.have = new Bitfield(chunkCount(size));
  }

  // deno-lint-ignore require-await -- it is called as one that writes
  async write(index: number, bytes: Uint8Array): Promise<boolean> {
    assert.equal(bytes.length, chunkLength(this.size, index));
    if (new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) !== index) return false;
    assert.ok(!this.have.get(index), `Chunk ${index} is kept twice`);
    this.have.set(index);
    this.order.push(index);
    return true;
  }
}

/** A size of so many chunks, the last of which is short. */
export function sizeOf(chunks: number): number {
  return (chunks - 1) * CHUNK_BYTES + 12_345;
}
