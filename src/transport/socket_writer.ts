import { joined } from "./joined.ts";

/** Takes the bytes of an answer, without a promise for each of them. */
export interface ByteSink {
  /** Whether everything that was written has been taken. */
  readonly idle: boolean;
  /**
   * Takes bytes, which must not be changed afterwards. Null where it takes more at once; else a promise that is there when
   * it does: whoever makes bytes waits for it. It never rejects, and bytes for somebody who has left are dropped.
   */
  write(bytes: Uint8Array): Promise<void> | null;
}

/** What a {@linkcode SocketWriter} writes to. */
export interface WritableConnection {
  /** Writes some of the bytes, and tells how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** So much may wait for a connection before who writes has to wait, too. */
const MOST_QUEUED_BYTES = 64 << 10;

/**
 * Writes to a connection without waiting for each write. What comes while one is under way goes out together with the
 * next, and never later than it could have.
 */
export class SocketWriter implements ByteSink {
  readonly #connection: WritableConnection;
  readonly #broke: () => void;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #writing: Uint8Array | null = null;
  #broken = false;
  #more: PromiseWithResolvers<void> | null = null;
  #empty: PromiseWithResolvers<void> | null = null;

  /** Writes to a connection; `broke` is called once, when it takes no more. */
  constructor(connection: WritableConnection, broke: () => void) {
    this.#connection = connection;
    this.#broke = broke;
  }

  /** Whether the connection has taken everything. */
  get idle(): boolean {
    return this.#writing === null;
  }

  /** Whether the connection takes no more. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Writes bytes behind those that were written before. */
  write(bytes: Uint8Array): Promise<void> | null {
    if (this.#broken || bytes.length === 0) return null;
    if (this.#writing === null) this.#begin(bytes);
    else {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
    }
    if (this.#queued <= MOST_QUEUED_BYTES) return null;
    return (this.#more ??= Promise.withResolvers<void>()).promise;
  }

  /** Waits until the connection has taken everything, or takes no more. */
  flushed(): Promise<void> {
    if (this.#writing === null) return Promise.resolve();
    return (this.#empty ??= Promise.withResolvers<void>()).promise;
  }

  #begin(bytes: Uint8Array): void {
    this.#writing = bytes;
    this.#connection.write(bytes).then(this.#wrote, this.#failed);
  }

  readonly #wrote = (count: number): void => {
    const bytes = this.#writing;
    // A connection that takes nothing at all would be asked for ever.
    if (bytes === null || count <= 0) return this.#failed();
    if (count < bytes.length) return this.#begin(bytes.subarray(count));
    this.#writing = null;
    if (this.#queued > 0) {
      const next = this.#queue.length === 1 && this.#queue[0] !== undefined ? this.#queue[0] : joined(this.#queue);
      this.#queue = [];
      this.#queued = 0;
      this.#begin(next);
      this.#more?.resolve();
      this.#more = null;
    } else if (this.#empty !== null) {
      this.#empty.resolve();
      this.#empty = null;
    }
  };

  readonly #failed = (): void => {
    this.#broken = true;
    this.#writing = null;
    this.#queue = [];
    this.#queued = 0;
    this.#more?.resolve();
    this.#empty?.resolve();
    this.#more = this.#empty = null;
    this.#broke();
  };
}
