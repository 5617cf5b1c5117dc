import type { NodeId } from "@ark/node/identity";

/** Options of {@linkcode UploadPace}. */
export interface UploadPaceOptions {
  /** Bytes in a second to all peers together, or null for as many as go. */
  limit: number | null;
  /** Whether a model is at work for somebody: then serving files holds back. */
  working(): boolean;
  /** Monotonic time in milliseconds. @default {performance.now} */
  now?: () => number;
}

/** What of the limit, or of what was measured without one, is left to serving while a model works. */
const YIELDING = 0.25;
/**
 * The most bytes in a second while a model works, whatever the limit: to encrypt so many takes 2 % of a core. A model that
 * computes on all cores waits for the slowest, so that it loses as much speed as one core loses time.
 */
const GENTLE_BYTES = 8_000_000;

/** Largest piece; each takes about half a millisecond of the event loop. */
const PIECE_BYTES = 256 << 10;
const LEAST_PIECE_BYTES = 16 << 10;
/** Pieces in a second and more, so that a slow stream is one that flows. */
const PIECES_PER_SECOND = 40;
/** What was not used of a rate is made up for within this time. */
const BURST_MS = 200;
/** How long a measurement of what goes through takes. */
const MEASURE_MS = 1_000;

interface Waiting {
  bytes: number;
  go(): void;
}

/**
 * Says when the next bytes of files may go out: a token bucket, and whoever waits for it is served in turn, peer by peer. So
 * each peer gets an equal share, and what one does not use goes to the others (max-min fairness), however many connections
 * each of them has.
 */
export class UploadPace {
  readonly #options: UploadPaceOptions;
  readonly #now: () => number;
  /** Who waits, by peer; the peer whose turn it is comes first. */
  readonly #waiting = new Map<NodeId, Waiting[]>();
  /** Bytes that may go at once; below zero where more went than that. */
  #credit = 0;
  #at: number;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** Bytes in a second that went while nothing held them back, as measured: the best of late. */
  #capacity: number | null = null;
  #measured = { since: -Infinity, bytes: 0 };

  /** Makes a pace at which nothing has gone yet. */
  constructor(options: UploadPaceOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#at = this.#now();
  }

  /** Bytes in a second that may go now, or null where nothing limits them. */
  get rate(): number | null {
    const { limit, working } = this.#options;
    if (!working()) return limit;
    return Math.max(1, Math.min(GENTLE_BYTES, YIELDING * (limit ?? this.#capacity ?? Infinity)));
  }

  /** How large a piece is best, in bytes. */
  get pieceBytes(): number {
    const rate = this.rate;
    if (rate === null) return PIECE_BYTES;
    return Math.max(LEAST_PIECE_BYTES, Math.min(PIECE_BYTES, Math.floor(rate / PIECES_PER_SECOND)));
  }

  /** Waits until a piece of some bytes may go to a peer. Rejects with the signal's reason. */
  take(peer: NodeId, bytes: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const rate = this.rate;
    this.#refill(rate);
    if (rate === null || (this.#credit > 0 && this.#waiting.size === 0)) {
      this.#spend(bytes, rate);
      return Promise.resolve();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const line = this.#waiting.get(peer) ?? [];
    const stop = () => {
      this.#leave(peer, waiting);
      reject(signal.reason);
    };
    const waiting = {
      bytes,
      go: () => {
        signal.removeEventListener("abort", stop);
        resolve();
      },
    };
    line.push(waiting);
    this.#waiting.set(peer, line);
    signal.addEventListener("abort", stop, { once: true });
    this.#schedule(rate);
    return promise;
  }

  #leave(peer: NodeId, waiting: Waiting): void {
    const line = this.#waiting.get(peer)?.filter((each) => each !== waiting) ?? [];
    if (line.length > 0) this.#waiting.set(peer, line);
    else this.#waiting.delete(peer);
    if (this.#waiting.size > 0 || this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #serve(): void {
    this.#timer = null;
    const rate = this.rate;
    this.#refill(rate);
    while (rate === null || this.#credit > 0) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      const [peer, line] = next;
      // To the end of the round: the others come first now.
      this.#waiting.delete(peer);
      const waiting = line.shift();
      if (line.length > 0) this.#waiting.set(peer, line);
      if (waiting === undefined) continue;
      this.#spend(waiting.bytes, rate);
      waiting.go();
    }
    this.#schedule(rate);
  }

  #schedule(rate: number | null): void {
    if (this.#timer !== null || this.#waiting.size === 0) return;
    const missing = rate === null ? 0 : Math.max(0, 1 - this.#credit) / rate * 1_000;
    // Looked at now and then: the rate may be another one by then.
    this.#timer = setTimeout(() => this.#serve(), Math.min(missing, BURST_MS));
  }

  #refill(rate: number | null): void {
    const now = this.#now();
    const ms = now - this.#at;
    this.#at = now;
    if (rate === null) {
      this.#credit = 0;
      return;
    }
    this.#credit = Math.min(this.#credit + rate * ms / 1_000, rate * BURST_MS / 1_000);
  }

  #spend(bytes: number, rate: number | null): void {
    if (rate !== null) {
      this.#credit -= bytes;
      return;
    }
    const now = this.#now();
    const { since } = this.#measured;
    if (now - since >= MEASURE_MS) {
      // A pause in between is no measurement.
      const complete = now - since < 2 * MEASURE_MS;
      const measured = this.#measured.bytes / (now - since) * 1_000;
      if (complete) this.#capacity = Math.max(measured, (this.#capacity ?? 0) * 0.9);
      this.#measured = { since: now, bytes: 0 };
    }
    this.#measured.bytes += bytes;
  }
}
