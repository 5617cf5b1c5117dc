import { setImmediate } from "node:timers";
import { closeQuietly } from "./close_quietly.ts";
import { PlainConnection, type PlainHandler, type PlainTimes } from "./plain_connection.ts";
import { type PlainAcceptor, type PlainSocket, TlsListener } from "./tls_listener.ts";

/** Times and sizes of {@linkcode listenPlain}. */
export interface PlainLimits extends PlainTimes {
  /** Connections at once; further ones are closed. @default {2048} */
  connections: number;
  /** How long a connection may carry no request, in milliseconds. @default {300000} */
  idleMs: number;
  /** How long the head of a request may take from its first byte, in milliseconds. @default {30000} */
  headMs: number;
  /** How long a sender gets to read an answer that came before its body was read, in milliseconds. @default {1000} */
  lingerMs: number;
}

/** Options of {@linkcode listenPlain}. */
export interface PlainListenOptions {
  /** Address to listen on. */
  hostname: string;
  /** Port to listen on; 0 takes a free one. */
  port: number;
  /**
   * Answers a request. `request.url` has the host and the target as they were sent. `request.signal` aborts when the
   * client has left.
   */
  handler: PlainHandler;
  /** Limits that differ. */
  limits?: Partial<PlainLimits>;
  /** Certificate and key in PEM: with them everything is encrypted (HTTPS), for whoever trusts that certificate. */
  tls?: { cert: string; key: string };
}

const LIMITS: PlainLimits = { connections: 2_048, idleMs: 300_000, headMs: 30_000, lingerMs: 1_000 };
/** How often limits of time are looked at, in milliseconds. */
const LOOK_MS = 5_000;

/**
 * Listens for HTTP/1.1, without encryption for the owner's programs; with a certificate for a registry. Rejects when the address is taken.
 *
 * Not `Deno.serve`: a stream costs it two and more turns of promises for each piece (some 70 of 180 microseconds), and it
 * does not tell of every client that has left. The bytes of a body that was noted by `notePushed` go straight to the
 * connection.
 */
export async function listenPlain(options: PlainListenOptions): Promise<PlainListener> {
  const { hostname, port, tls } = options;
  if (tls === undefined) return new PlainListener(Deno.listen({ hostname, port }), options);
  const { connections, headMs } = { ...LIMITS, ...options.limits };
  return new PlainListener(
    await TlsListener.open({ hostname, port, ...tls, connections, handshakeMs: headMs }),
    options,
  );
}

/** A running listener. Disposing it cuts every connection. */
export class PlainListener implements AsyncDisposable {
  /** Address it listens on. */
  readonly hostname: string;
  /** Port it listens on. */
  readonly port: number;
  readonly #listener: PlainAcceptor;
  readonly #options: PlainListenOptions;
  readonly #limits: PlainLimits;
  readonly #open = new Map<PlainConnection, Promise<void>>();
  readonly #accepting: Promise<void>;
  readonly #timer: ReturnType<typeof setInterval>;
  #closed = false;
  #draining = false;

  /** Takes over a listener: see {@linkcode listenPlain}. */
  constructor(listener: PlainAcceptor, options: PlainListenOptions) {
    this.#listener = listener;
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    ({ hostname: this.hostname, port: this.port } = listener.addr);
    this.#timer = setInterval(() => this.#look(), Math.min(LOOK_MS, this.#limits.idleMs, this.#limits.headMs));
    this.#accepting = this.#accept();
  }

  /** Takes no new connections, and waits until running requests have been answered. */
  async drain(): Promise<void> {
    this.#stop();
    this.#draining = true;
    for (const connection of this.#open.keys()) connection.drain();
    await Promise.all([this.#accepting, ...this.#open.values()]);
  }

  /** Cuts every connection, and waits until their handlers have returned. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
    for (const connection of this.#open.keys()) connection.cut();
    await Promise.all([this.#accepting, ...this.#open.values()]);
    if (this.#listener instanceof TlsListener) await this.#listener[Symbol.asyncDispose]();
  }

  #stop(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#listener.close();
  }

  async #accept(): Promise<void> {
    while (!this.#closed) {
      let socket: PlainSocket;
      try {
        socket = await this.#listener.accept();
      } catch {
        // A failing accept, for want of file descriptors say, concerns one connection; but must not spin.
        if (!this.#closed) await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      if (this.#closed || this.#open.size >= this.#limits.connections) {
        closeQuietly(socket);
        continue;
      }
      const connection = new PlainConnection(socket, { handler: this.#options.handler, limits: this.#limits });
      if (this.#draining) connection.drain();
      const served = connection.serve().finally(() => this.#open.delete(connection));
      this.#open.set(connection, served);
    }
  }

  #look(): void {
    const now = performance.now();
    for (const connection of this.#open.keys()) if (now > connection.until) connection.cut();
  }
}
