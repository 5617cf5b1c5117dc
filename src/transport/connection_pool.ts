import { setTimeout as pause } from "node:timers/promises";
import { dialFirst, type DialTimes, type PinnedConnection } from "./pinned_connection.ts";
import { formatAddress, type PeerAddress } from "./peer_address.ts";
import { Semaphore } from "./semaphore.ts";

/** Options of {@linkcode ConnectionPool}. */
export interface ConnectionPoolOptions extends DialTimes {
  /** Connections in use at once; further requests wait. */
  most: number;
  /** Idle connections that are kept. */
  mostIdle: number;
  /** How long an idle connection is kept, in milliseconds; less than the other side keeps it. */
  idleMs: number;
}

/** One connection, lent for one request. */
export interface Lease {
  /** The connection. */
  readonly connection: PinnedConnection;
  /** Gives it back; a closed one is forgotten. Only the first call counts. */
  release(how: "reusable" | "broken"): void;
}

interface TakeOptions {
  fresh: boolean;
  signal: AbortSignal;
  apart?: boolean;
}

const NO_PLACE: Disposable = { [Symbol.dispose]() {} };

/** Handshakes at once. More would look like a flood to the other side, whose limit for strangers is eight. */
const DIALS_AT_ONCE = 4;
/** How often a connection is tried again that was turned away while others are open. */
const MOST_RETRIES = 4;
/** How long it waits before that, in milliseconds; each time as much longer. */
const RETRY_MS = 150;

/** Connections to one peer: each carries one request at a time, idle ones are kept for a while. */
export class ConnectionPool {
  readonly #key: Uint8Array;
  readonly #options: ConnectionPoolOptions;
  readonly #places: Semaphore;
  readonly #dials = new Semaphore(DIALS_AT_ONCE);
  readonly #open = new Set<PinnedConnection>();
  readonly #idle = new Map<PinnedConnection, ReturnType<typeof setTimeout>>();
  #dialling = 0;
  #lastGood: string | null = null;

  /** Makes a pool of connections to the holder of one key. */
  constructor(key: Uint8Array, options: ConnectionPoolOptions) {
    this.#key = key;
    this.#options = options;
    this.#places = new Semaphore(options.most);
  }

  /** Lends an idle connection, without a turn of the event loop; null where there is none, or others wait for their place. */
  takeNow(): Lease | null {
    const place = this.#idle.size === 0 ? null : this.#places.takeNow();
    const connection = place === null ? null : this.#takeIdle();
    return place === null || connection === null ? null : this.#lend(connection, place);
  }

  /**
   * Lends a connection: an idle one, or with `fresh` always a new one. With `apart` it waits for no other request.
   *
   * @throws {ArkError} `unavailable` when the peer cannot be reached; the signal's reason when it fires.
   */
  async take(
    addresses: readonly PeerAddress[],
    { fresh, signal, apart = false }: TakeOptions,
  ): Promise<Lease> {
    const place = apart ? NO_PLACE : await this.#places.take(signal);
    try {
      if (fresh) this.closeIdle();
      return this.#lend(this.#takeIdle() ?? await this.#dial(addresses, { fresh, signal, apart }), place);
    } catch (error) {
      place[Symbol.dispose]();
      throw error;
    }
  }

  /** Closes every connection, also those that are lent. */
  closeAll(): void {
    for (const connection of this.#open) this.#close(connection);
  }

  /** Closes the connections that nobody has. */
  closeIdle(): void {
    for (const connection of [...this.#idle.keys()]) this.#close(connection);
  }

  #lend(connection: PinnedConnection, place: Disposable): Lease {
    connection.uses++;
    let lent = true;
    return {
      connection,
      release: (how) => {
        if (!lent) return;
        lent = false;
        if (how === "reusable") this.#keep(connection);
        else this.#close(connection);
        place[Symbol.dispose]();
      },
    };
  }

  async #dial(
    addresses: readonly PeerAddress[],
    { fresh, signal, apart = false }: TakeOptions,
  ): Promise<PinnedConnection> {
    using _lane = apart ? NO_PLACE : await this.#dials.take(signal);
    // While it waited for its turn another request may have finished.
    const idle = fresh ? null : this.#takeIdle();
    if (idle !== null) return idle;
    const last = this.#lastGood;
    const sorted = addresses.toSorted((a, b) => Number(formatAddress(b) === last) - Number(formatAddress(a) === last));
    const connection = await this.#reach(sorted, signal);
    this.#lastGood = formatAddress(connection.address);
    this.#open.add(connection);
    return connection;
  }

  /**
   * A peer that is there turns connections away while too many new ones have not proved themselves to it, which they do
   * with their first request; a little later it takes them.
   */
  async #reach(addresses: readonly PeerAddress[], signal: AbortSignal): Promise<PinnedConnection> {
    this.#dialling++;
    try {
      for (let attempt = 1;; attempt++) {
        try {
          return await dialFirst(this.#key, addresses, { ...this.#options, signal });
        } catch (error) {
          const alone = this.#open.size === 0 && this.#dialling === 1;
          if (signal.aborted || alone || attempt > MOST_RETRIES) throw error;
          await pause(RETRY_MS * attempt, undefined, { signal }).catch(() => signal.throwIfAborted());
        }
      }
    } finally {
      this.#dialling--;
    }
  }

  #takeIdle(): PinnedConnection | null {
    // The one used last is the least likely to have been closed by the other side.
    const connection = [...this.#idle.keys()].at(-1);
    if (connection === undefined) return null;
    clearTimeout(this.#idle.get(connection));
    this.#idle.delete(connection);
    return connection;
  }

  #keep(connection: PinnedConnection): void {
    if (connection.closed || this.#idle.size >= this.#options.mostIdle) return this.#close(connection);
    this.#idle.set(connection, setTimeout(() => this.#close(connection), this.#options.idleMs));
  }

  #close(connection: PinnedConnection): void {
    clearTimeout(this.#idle.get(connection));
    this.#idle.delete(connection);
    this.#open.delete(connection);
    connection.close();
  }
}
