import { closeQuietly } from "./close_quietly.ts";
import type { PeerAddress } from "./peer_address.ts";
import { READ_BUFFER_BYTES } from "./response_reader.ts";

/** A connection without encryption, which carries one request at a time. */
export class KeptConnection {
  /** Room for reading; made once, since it outlives many requests. */
  readonly buffer: Uint8Array<ArrayBuffer> = new Uint8Array(READ_BUFFER_BYTES);
  /** When it is closed that nobody uses, on the clock that only grows. */
  until = 0;
  readonly #tcp: Deno.TcpConn;

  /** Wraps a connection that is open. */
  constructor(tcp: Deno.TcpConn) {
    this.#tcp = tcp;
  }

  /**
   * Connects.
   *
   * @throws what `Deno.connect` throws, and the reason of `signal`.
   */
  static async open(address: PeerAddress, signal: AbortSignal): Promise<KeptConnection> {
    const tcp = await Deno.connect({ ...address, signal });
    const connection = new KeptConnection(tcp);
    try {
      tcp.setNoDelay();
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Reads some bytes into a buffer; null at the end. */
  read(buffer: Uint8Array): Promise<number | null> {
    return this.#tcp.read(buffer);
  }

  /** Writes all the bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#tcp.write(at === 0 ? bytes : bytes.subarray(at));
  }

  /** Closes it at once, also more than once; running reads and writes fail, and the other side notices. */
  close(): void {
    closeQuietly(this.#tcp);
  }
}

/** Options of {@linkcode KeptConnections}. */
export interface KeptConnectionsOptions {
  /** Idle connections that are kept. */
  mostIdle: number;
  /** How long the end of an answer may take to come of which nothing more is wanted, in milliseconds. */
  endMs: number;
}

/**
 * Connections to one server that wait for another request. Nothing is read from them meanwhile, which would cost as much
 * as it saves: that the server has closed one is seen by the request that takes it.
 */
export class KeptConnections implements Disposable {
  readonly #options: KeptConnectionsOptions;
  /** The one used last stands at the end: it is the least likely to have been closed by the server. */
  readonly #idle: KeptConnection[] = [];
  /** Those on which the end of an answer is still to come. */
  readonly #ending = new Set<KeptConnection>();
  /** One for all, which is left alone while they come and go. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakes = Infinity;
  #closed = false;

  /** Keeps none yet. */
  constructor(options: KeptConnectionsOptions) {
    this.#options = options;
  }

  /** Takes one that is kept, or null. */
  take(): KeptConnection | null {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      // The timer may be late.
      if (connection.until > performance.now()) return connection;
      connection.close();
    }
    return null;
  }

  /** Keeps a connection for so many milliseconds, or closes it. */
  keep(connection: KeptConnection, ms: number): void {
    if (this.#closed || ms <= 0 || this.#idle.length >= this.#options.mostIdle) return connection.close();
    this.#idle.push(connection);
    this.#watch(connection, ms);
  }

  /** Keeps a connection once the end of an answer has come; `ended` gives for how long then, in milliseconds. */
  async keepAfter(connection: KeptConnection, ended: Promise<number>): Promise<void> {
    if (this.#closed) connection.close();
    else this.#watch(connection, this.#options.endMs);
    this.#ending.add(connection);
    const ms = await ended.catch(() => 0);
    this.#ending.delete(connection);
    this.keep(connection, ms);
  }

  /** Closes the connections that nobody uses. */
  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  /** Closes the connections that nobody uses, and keeps none from now on. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.closeIdle();
    for (const connection of this.#ending) connection.close();
    clearTimeout(this.#timer);
    this.#wakes = Infinity;
  }

  #watch(connection: KeptConnection, ms: number): void {
    connection.until = performance.now() + ms;
    if (connection.until < this.#wakes) this.#wakeAt(connection.until);
  }

  #wakeAt(time: number): void {
    clearTimeout(this.#timer);
    this.#wakes = time;
    this.#timer = setTimeout(() => this.#sweep(), Math.max(1, time - performance.now()));
    // A command that has done its work ends, whatever is kept.
    Deno.unrefTimer(this.#timer);
  }

  #sweep(): void {
    this.#wakes = Infinity;
    const now = performance.now();
    const kept = this.#idle.splice(0);
    let next = Infinity;
    for (const connection of kept) {
      if (connection.until <= now) connection.close();
      else {
        this.#idle.push(connection);
        next = Math.min(next, connection.until);
      }
    }
    for (const connection of this.#ending) {
      if (connection.until <= now) connection.close();
      else next = Math.min(next, connection.until);
    }
    if (next < Infinity) this.#wakeAt(next);
  }
}
