import type { PeerAddress } from "@ark/node/transport";
import { Departures } from "./departures.ts";

/** The owner's listener. Disposing it cuts what still runs. */
export class LocalServer implements AsyncDisposable {
  /** Where it listens. */
  readonly address: PeerAddress;
  readonly #server: Deno.HttpServer;
  readonly #cut: AbortController;
  #drained: Promise<void> | null = null;

  private constructor(server: Deno.HttpServer<Deno.NetAddr>, cut: AbortController) {
    this.#server = server;
    this.#cut = cut;
    this.address = { hostname: server.addr.hostname, port: server.addr.port };
  }

  /**
   * Listens on an address; port 0 takes a free one. Rejects when it is taken.
   *
   * @param app makes the handler, and is told where it listens.
   */
  static listen(
    { hostname, port }: PeerAddress,
    app: (listening: PeerAddress) => (request: Request, from: { remote: string }) => Promise<Response>,
  ): Promise<LocalServer> {
    const cut = new AbortController();
    const departures = new Departures();
    const server = Deno.serve({
      hostname,
      port,
      signal: cut.signal,
      onListen: () => {},
      // The log is the node's own, and a handler's error is answered by the handler.
      onError: () => new Response(null, { status: 500 }),
    }, async (request, { remoteAddr }) => {
      using departure = departures.watch(listening.address.port, remoteAddr.port);
      // Handlers know the signal of a request; it is made only where one looks at it.
      let signal: AbortSignal | undefined;
      const own = request.signal;
      const get = () => signal ??= AbortSignal.any([own, departure.signal]);
      Object.defineProperty(request, "signal", { get });
      return await handler(request, { remote: remoteAddr.hostname });
    });
    const listening = new LocalServer(server, cut);
    // No request is handed out before this turn of the event loop has ended.
    const handler = app(listening.address);
    return Promise.resolve(listening);
  }

  /** Takes no new connections, and waits until running requests have ended. */
  drain(): Promise<void> {
    return this.#drained ??= this.#server.shutdown();
  }

  /** Cuts every connection. Where a drain has begun, what still runs ends with the node's other parts. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Deno 2.9 throws an uncaught error when a server is aborted that was told to shut down before.
    if (this.#drained !== null) return;
    this.#cut.abort();
    await this.#server.finished;
  }
}
