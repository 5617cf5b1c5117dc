import type { AddressInfo, Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { admitFirst, connectionName } from "./connection_gate.ts";

/** What of a connection a {@linkcode PlainConnection} needs. */
export interface PlainSocket {
  /** Who is at the other end. */
  readonly remoteAddr: { readonly hostname: string };
  /** Reads some bytes, and tells how many; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes, and tells how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Tells the other end that nothing more comes. */
  closeWrite(): Promise<void>;
  /** Closes it at once. */
  close(): void;
  /** Sends what was written without waiting for more; absent where that is so already. */
  setNoDelay?(): void;
}

/** Where connections come from. */
export interface PlainAcceptor {
  /** Where it listens. */
  readonly addr: { readonly hostname: string; readonly port: number };
  /** The next connection. Rejects when it was closed. */
  accept(): Promise<PlainSocket>;
  /** Takes no more. */
  close(): void;
}

/** Options of {@linkcode TlsListener.open}. */
export interface TlsListenOptions {
  /** Address to listen on. */
  hostname: string;
  /** Port to listen on; 0 takes a free one. */
  port: number;
  /** Certificate in PEM. */
  cert: string;
  /** Its key in PEM. */
  key: string;
  /** Connections at once, those that have not shaken hands included; further ones are closed. */
  connections: number;
  /** How long a handshake may take, in milliseconds. */
  handshakeMs: number;
}

/**
 * Connections with TLS, each ready to be read once it has shaken hands.
 *
 * Not `Deno.listenTls`: beneath its connections Nagle's algorithm cannot be turned off, and every answer of more than one
 * record (16 KiB) waits for the client's delayed acknowledgement, 40 milliseconds.
 */
export class TlsListener implements PlainAcceptor {
  readonly addr: { readonly hostname: string; readonly port: number };
  readonly #server: Server;
  readonly #open: Set<Socket>;
  readonly #ready: PlainSocket[] = [];
  #waiting: PromiseWithResolvers<PlainSocket> | null = null;
  #closed = false;

  private constructor(server: Server, open: Set<Socket>) {
    const { address, port } = server.address() as AddressInfo;
    this.addr = { hostname: address, port };
    this.#server = server;
    this.#open = open;
    server.on("secureConnection", (socket: TLSSocket) => this.#take(new TlsConnection(socket)));
  }

  /** Listens. Rejects when the address is taken, or the certificate is none. */
  static async open({ hostname, port, cert, key, ...limits }: TlsListenOptions): Promise<TlsListener> {
    const open = new Set<Socket>();
    const server = createServer({ cert, key, ALPNProtocols: ["http/1.1"] });
    // Deno's server has no limit of its own for who never says a word.
    const shaking = new Map<string, ReturnType<typeof setTimeout>>();
    const shaken = (name: string) => {
      clearTimeout(shaking.get(name));
      shaking.delete(name);
    };
    admitFirst(server, (socket) => {
      if (open.size >= limits.connections) {
        socket.destroy();
        return false;
      }
      const name = connectionName(socket);
      open.add(socket);
      shaking.set(name, setTimeout(() => socket.destroy(), limits.handshakeMs));
      socket.once("close", () => {
        open.delete(socket);
        shaken(name);
      });
      socket.setNoDelay();
      return true;
    });
    server.on("secureConnection", (socket: TLSSocket) => shaken(connectionName(socket)));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen({ host: hostname, port }, resolve);
    await promise;
    server.off("error", reject);
    // A failing accept, or a client that speaks no TLS, concerns one connection and not the node.
    server.on("error", () => {}).on("tlsClientError", () => {});
    return new TlsListener(server, open);
  }

  accept(): Promise<PlainSocket> {
    const next = this.#ready.shift();
    if (next !== undefined) return Promise.resolve(next);
    if (this.#closed) return Promise.reject(new Deno.errors.BadResource("The listener was closed"));
    return (this.#waiting = Promise.withResolvers()).promise;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#server.close();
    this.#waiting?.reject(new Deno.errors.BadResource("The listener was closed"));
    this.#waiting = null;
  }

  /** Cuts every connection, and waits until they are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    const closed = [...this.#open].map((socket) => new Promise<unknown>((resolve) => socket.once("close", resolve)));
    for (const socket of this.#open) socket.destroy();
    await Promise.all(closed);
  }

  #take(connection: PlainSocket): void {
    if (this.#closed) return connection.close();
    if (this.#waiting === null) this.#ready.push(connection);
    else this.#waiting.resolve(connection);
    this.#waiting = null;
  }
}

/** One connection, read and written as Deno's own are. */
class TlsConnection implements PlainSocket {
  readonly remoteAddr: { readonly hostname: string };
  readonly #socket: TLSSocket;
  #arrived: Uint8Array[] = [];
  #ended = false;
  #writing = false;
  #wake: (() => void) | null = null;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.remoteAddr = { hostname: socket.remoteAddress ?? "" };
    const end = () => {
      this.#ended = true;
      this.#woken();
    };
    socket.on("data", (bytes: Uint8Array) => {
      this.#arrived.push(bytes);
      // Whoever sends more than is read has to wait.
      socket.pause();
      this.#woken();
    });
    socket.on("end", end).on("close", end).on("error", end);
    socket.pause();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#arrived.length === 0) {
      if (this.#ended) return null;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#socket.resume();
      await promise;
    }
    const [first = new Uint8Array()] = this.#arrived;
    const count = Math.min(first.length, buffer.length);
    buffer.set(first.subarray(0, count));
    if (count < first.length) this.#arrived[0] = first.subarray(count);
    else this.#arrived.shift();
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#writing = true;
    const gone = () => reject(new Deno.errors.BrokenPipe("The client has left"));
    // A connection that is destroyed calls back for what waited in it, or does not.
    this.#socket.once("close", gone);
    this.#socket.write(bytes, (error) => {
      this.#socket.off("close", gone);
      this.#writing = false;
      if (error) gone();
      else resolve(bytes.length);
    });
    return promise;
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once("close", resolve);
      this.#socket.end(resolve);
    });
  }

  close(): void {
    // What was written was taken by the system; the end of TLS goes out behind it, where nothing hangs.
    if (this.#writing || this.#socket.destroyed) this.#socket.destroy();
    else this.#socket.destroySoon();
  }

  #woken(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
