import { Buffer } from "node:buffer";
import { KeptConnection, KeptConnections } from "./kept_connections.ts";
import type { PeerAddress } from "./peer_address.ts";
import { PlainExchange, type PlainResponse } from "./plain_exchange.ts";

/** A server that is no node, and what it is always told. */
export interface PlainClientOptions {
  /** Where it is. */
  address: PeerAddress;
  /** Header fields of every request, beside those that say how it is framed; they may hold no line break. */
  headers: Readonly<Record<string, string>>;
}

/** A request to such a server. */
export interface PlainRequest {
  /** Path and query. */
  target: string;
  /** The body of a `POST`; without one it is a `GET`. */
  json?: string;
  /** Closes the connection. */
  signal: AbortSignal;
}

/** As many idle connections are kept to a server as there are requests at once, but not of a crowd. */
const MOST_IDLE = 64;
/** How long a stream that is complete may take to end, in milliseconds. */
const END_MS = 4_000;
const TARGET = /^[\x21-\x7e]+$/;

/**
 * Sends requests without encryption to one server, for the owner's own ones. Its connections are kept for a while after
 * an answer that was read to its end: to open and to close one is a fourth of what it costs to pass a short answer on.
 *
 * Not `fetch`: the streams that it reads through take most of the time of passing a token on (some 130 of 200
 * microseconds), and a stream that is only passed on has nothing else to do.
 */
export class PlainClient implements Disposable {
  readonly #address: PeerAddress;
  readonly #kept = new KeptConnections({ mostIdle: MOST_IDLE, endMs: END_MS });
  /** The fields that are the same in every request, each with its line break. */
  readonly #fields: string;

  /** Makes a client; nothing is connected yet. */
  constructor({ address, headers }: PlainClientOptions) {
    this.#address = address;
    const { hostname, port } = address;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    const lines = [
      `host: ${port === 80 ? host : `${host}:${port}`}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
    if (lines.some((line) => /[\r\n\0]/.test(line))) throw new TypeError("A line of the head has a line break");
    this.#fields = lines.join("\r\n") + "\r\n";
  }

  /**
   * Sends one request.
   *
   * @throws {ArkError} `unavailable` where the answer is no plain HTTP/1.1.
   * @throws what `Deno.connect` throws, and the reason of `signal`.
   */
  async send({ target, json, signal }: PlainRequest): Promise<PlainResponse> {
    signal.throwIfAborted();
    const bytes = this.#bytes(target, json);
    const connection = this.#kept.take();
    if (connection !== null) {
      const exchange = this.#exchange(connection, signal);
      try {
        await exchange.start(bytes);
        return exchange;
      } catch (error) {
        if (!exchange.stale) throw error;
      }
      // The server closed it while it was idle, or is another one by now: it may know the others no more either.
      this.#kept.closeIdle();
    }
    const exchange = this.#exchange(await KeptConnection.open(this.#address, signal), signal);
    await exchange.start(bytes);
    return exchange;
  }

  /** Closes the connections that carry no request now. */
  closeIdle(): void {
    this.#kept.closeIdle();
  }

  /** Closes the connections that carry no request now; the others as soon as their answers have ended. */
  [Symbol.dispose](): void {
    this.#kept[Symbol.dispose]();
  }

  #exchange(connection: KeptConnection, signal: AbortSignal): PlainExchange {
    return new PlainExchange(connection, { kept: this.#kept, signal });
  }

  /** A request as it goes on the wire: one piece of bytes, and one write. */
  #bytes(target: string, json: string | undefined): Uint8Array {
    if (!TARGET.test(target)) throw new TypeError("What is asked for is no path");
    if (json === undefined) return Buffer.from(`GET ${target} HTTP/1.1\r\n${this.#fields}\r\n`);
    const framing = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(json)}\r\n`;
    return Buffer.from(`POST ${target} HTTP/1.1\r\n${this.#fields}${framing}\r\n${json}`);
  }
}
