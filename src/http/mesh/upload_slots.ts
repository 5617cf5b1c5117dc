import type { NodeId } from "@ark/node/identity";
import { ArkError, CHUNK_BYTES } from "@ark/node/protocol";

/** Options of {@linkcode UploadSlots}. */
export interface UploadSlotsOptions {
  /** Peers that are served at once as long as they come back. @default {4} */
  slots?: number;
  /** Monotonic time in milliseconds. @default {performance.now} */
  now?: () => number;
}

/** One chunk on its way to a peer: the place and the memory for it. */
export interface UploadLease {
  /** Room for a chunk. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Gives the place back, and with true the memory, too, where nobody reads it any more. Only the first call counts. */
  release(how: { reuse: boolean }): void;
}

/** A peer that has a slot, since when, and when a chunk of its ended last. */
interface Holder {
  since: number;
  used: number;
  running: number;
  waiting: Waiting[];
}

interface Waiting {
  go(): void;
  refuse(error: ArkError): void;
}

/** A peer keeps its slot for so long between two chunks. */
const IDLE_MS = 5_000;
/** The one slot more goes to the next peer after this time. */
const TURN_MS = 30_000;
/** Chunks of one peer on their way at once, while few others are served and while many are: each is 4 MiB of memory. */
const MOST_CHUNKS = 4;
const FEW_CHUNKS = 2;
/** Peers up to which each has {@linkcode MOST_CHUNKS}. */
const FEW_PEERS = 2;
/** Buffers that wait for the next chunk. */
const MOST_SPARE = 2;
/** Requests of one peer that wait for those. */
const MOST_WAITING = 8;

/**
 * To whom chunks go at the same time: to a few peers, so that each gets on, and to one more in turn, so that nobody waits
 * for ever behind those who always come back. Peers count, never connections. Of one peer some chunks are on their way, a
 * few more wait, and what is beyond is refused, so that the memory of all of it is bounded: ten chunks.
 */
export class UploadSlots {
  readonly #slots: number;
  readonly #now: () => number;
  /** In the order in which they came: those beyond the number of slots are there in turn. */
  readonly #holders = new Map<NodeId, Holder>();
  /** Chunks of peers whose turn is over, on their way still. */
  #leaving = 0;
  #buffers: Uint8Array<ArrayBuffer>[] = [];

  /** Makes slots that nobody has. */
  constructor({ slots = 4, now = () => performance.now() }: UploadSlotsOptions = {}) {
    this.#slots = slots;
    this.#now = now;
  }

  /** Chunks that are on their way now. */
  get running(): number {
    return this.#holders.values().reduce((sum, { running }) => sum + running, this.#leaving);
  }

  /** Peers that have a slot now. */
  get peers(): number {
    this.#forget();
    return this.#holders.size;
  }

  /**
   * Takes the place for one chunk, waiting for those of the same peer before it.
   *
   * @throws {ArkError} `busy`, with the time after which it may be tried again; the signal's reason.
   */
  async enter(peer: NodeId, signal: AbortSignal): Promise<UploadLease> {
    signal.throwIfAborted();
    const holder = this.#holderOf(peer);
    if (holder.running >= this.#most) await this.#wait(holder, signal);
    else holder.running++;
    const buffer = this.#buffers.pop() ?? new Uint8Array(CHUNK_BYTES);
    let held = true;
    return {
      buffer,
      release: ({ reuse }) => {
        if (!held) return;
        held = false;
        if (reuse && this.#buffers.length < MOST_SPARE) this.#buffers.push(buffer);
        this.#leave(peer, holder);
      },
    };
  }

  get #most(): number {
    return this.#holders.size <= FEW_PEERS ? MOST_CHUNKS : FEW_CHUNKS;
  }

  #holderOf(peer: NodeId): Holder {
    this.#forget();
    const now = this.#now();
    const known = this.#holders.get(peer);
    if (known !== undefined) return known;
    if (this.#holders.size > this.#slots) this.#endTurn(now);
    const holder: Holder = { since: now, used: now, running: 0, waiting: [] };
    this.#holders.set(peer, holder);
    return holder;
  }

  /** Takes the last slot from the peer whose turn is over, or says when it will be. */
  #endTurn(now: number): void {
    const [peer, holder] = [...this.#holders].at(-1) ?? [];
    if (peer === undefined || holder === undefined) return;
    const leftMs = holder.since + TURN_MS - now;
    if (leftMs > 0) throw noSlot(leftMs);
    this.#holders.delete(peer);
    this.#leaving += holder.running;
    for (const { refuse } of holder.waiting.splice(0)) refuse(noSlot(TURN_MS));
  }

  async #wait(holder: Holder, signal: AbortSignal): Promise<void> {
    if (holder.waiting.length >= MOST_WAITING) {
      throw new ArkError("busy", `This node sends you ${this.#most} chunks at a time; ask again when one has come`, {
        retryAfterSeconds: 1,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { go: resolve, refuse: reject };
    const stop = () => {
      holder.waiting = holder.waiting.filter((each) => each !== waiting);
      reject(signal.reason);
    };
    holder.waiting.push(waiting);
    signal.addEventListener("abort", stop, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #leave(peer: NodeId, holder: Holder): void {
    holder.used = this.#now();
    if (this.#holders.get(peer) !== holder) {
      this.#leaving--;
      holder.running--;
    } else {
      // Where more peers came meanwhile, a place is not handed on.
      const next = holder.running > this.#most ? undefined : holder.waiting.shift();
      if (next === undefined) holder.running--;
      else next.go();
    }
    if (this.running === 0) this.#buffers = [];
  }

  /** Forgets those who have not come back. */
  #forget(): void {
    const now = this.#now();
    for (const [peer, { running, used }] of this.#holders) {
      if (running === 0 && now - used >= IDLE_MS) this.#holders.delete(peer);
    }
  }
}

function noSlot(ms: number): ArkError {
  return new ArkError("busy", "This node sends files to others now, and you come next; ask again in a moment", {
    // Somebody else may be done long before.
    retryAfterSeconds: Math.max(1, Math.min(5, Math.ceil(ms / 1_000))),
  });
}
