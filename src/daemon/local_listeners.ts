import { isLoopback } from "@ark/node/config";
import type { LocalApp } from "@ark/node/http";
import type { PeerAddress } from "@ark/node/transport";
import { LocalServer } from "./local_server.ts";
import { listenAsOllama } from "./ollama_listener.ts";

const ANY = new Map([["0.0.0.0", "127.0.0.1"], ["::", "::1"]]);

/** Options of {@linkcode LocalListeners.listen}. */
export interface LocalListenOptions {
  /** Port of the loopback where clients of Ollama look; null is none. */
  ollamaPort?: number | null;
}

/**
 * The owner's listener, and the way by which his own command line gets in: where the listener is on an address of the
 * network alone, that is a second one on the loopback, since admin calls are made there only. Where the owner wants it,
 * one more serves the same where clients of Ollama look.
 */
export class LocalListeners implements AsyncDisposable {
  /** Where the owner's apps connect. */
  readonly address: PeerAddress;
  /** Where the owner's command line connects: on the loopback. */
  readonly own: PeerAddress;
  /** Where clients of Ollama connect, or null. */
  readonly ollama: PeerAddress | null;
  readonly #servers: readonly LocalServer[];

  private constructor(
    servers: readonly LocalServer[],
    { address, own, ollama }: { address: PeerAddress; own: PeerAddress; ollama: PeerAddress | null },
  ) {
    this.#servers = servers;
    this.address = address;
    this.own = own;
    this.ollama = ollama;
  }

  /** Listens; port 0 takes a free one. Rejects when one is taken. */
  static async listen(
    asked: PeerAddress,
    app: (listening: PeerAddress) => LocalApp,
    { ollamaPort = null }: LocalListenOptions = {},
  ): Promise<LocalListeners> {
    await using opened = new AsyncDisposableStack();
    const main = opened.use(await LocalServer.listen(asked, app));
    const { address } = main;
    const loopback = isLoopback(address.hostname) ? address.hostname : ANY.get(address.hostname);
    const second = loopback === undefined ? opened.use(await besides(address.port, () => app(address))) : null;
    const own = second?.address ?? { hostname: loopback ?? address.hostname, port: address.port };
    const ollama = ollamaPort === null ? null : opened.use(await listenAsOllama(ollamaPort, () => app(address)));
    opened.move();
    const servers = [main, second, ollama].filter((server) => server !== null);
    return new LocalListeners(servers, { address, own, ollama: ollama?.address ?? null });
  }

  /** Takes no new connections, and waits until running requests have ended. */
  async drain(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.drain()));
  }

  /** Cuts every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

/** A second listener, on the same port of the loopback where that is free. */
async function besides(port: number, app: () => LocalApp): Promise<LocalServer> {
  try {
    return await LocalServer.listen({ hostname: "127.0.0.1", port }, app);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    return await LocalServer.listen({ hostname: "127.0.0.1", port: 0 }, app);
  }
}
