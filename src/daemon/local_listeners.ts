import { isLoopback } from "@ark/node/config";
import type { LocalApp } from "@ark/node/http";
import type { PeerAddress } from "@ark/node/transport";
import { LocalServer } from "./local_server.ts";

const ANY = new Map([["0.0.0.0", "127.0.0.1"], ["::", "::1"]]);

/**
 * The owner's listener, and the way by which his own command line gets in: where the listener is on an address of the
 * network alone, that is a second one on the loopback, since admin calls are made there only.
 */
export class LocalListeners implements AsyncDisposable {
  /** Where the owner's apps connect. */
  readonly address: PeerAddress;
  /** Where the owner's command line connects: on the loopback. */
  readonly own: PeerAddress;
  readonly #servers: readonly LocalServer[];

  private constructor(servers: readonly LocalServer[], { address, own }: { address: PeerAddress; own: PeerAddress }) {
    this.#servers = servers;
    this.address = address;
    this.own = own;
  }

  /** Listens; port 0 takes a free one. Rejects when it is taken. */
  static async listen(asked: PeerAddress, app: (listening: PeerAddress) => LocalApp): Promise<LocalListeners> {
    const main = await LocalServer.listen(asked, app);
    const { address } = main;
    if (isLoopback(address.hostname)) return new LocalListeners([main], { address, own: address });
    const loopback = ANY.get(address.hostname);
    if (loopback !== undefined) {
      return new LocalListeners([main], { address, own: { hostname: loopback, port: address.port } });
    }
    try {
      const second = await besides(address.port, () => app(address));
      return new LocalListeners([main, second], { address, own: second.address });
    } catch (error) {
      await main[Symbol.asyncDispose]();
      throw error;
    }
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
