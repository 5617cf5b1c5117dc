import { listenPlain, type PeerAddress, type PlainListener } from "@ark/node/transport";

/** The owner's listener. Disposing it cuts what still runs. */
export class LocalServer implements AsyncDisposable {
  /** Where it listens. */
  readonly address: PeerAddress;
  readonly #listener: PlainListener;
  #drained: Promise<void> | null = null;

  private constructor(listener: PlainListener) {
    this.#listener = listener;
    this.address = { hostname: listener.hostname, port: listener.port };
  }

  /**
   * Listens on an address; port 0 takes a free one. Rejects when it is taken.
   *
   * @param app makes the handler, and is told where it listens.
   */
  static async listen(
    { hostname, port }: PeerAddress,
    app: (listening: PeerAddress) => (request: Request, from: { remote: string }) => Promise<Response>,
  ): Promise<LocalServer> {
    let handler: ((request: Request, from: { remote: string }) => Promise<Response>) | null = null;
    const made = Promise.withResolvers<void>();
    const listener = await listenPlain({
      hostname,
      port,
      handler: async (request, from) => {
        if (handler === null) await made.promise;
        return await handler?.(request, from) ?? new Response(null, { status: 500 });
      },
    });
    const listening = new LocalServer(listener);
    handler = app(listening.address);
    made.resolve();
    return listening;
  }

  /** Takes no new connections, and waits until running requests have ended. */
  drain(): Promise<void> {
    return this.#drained ??= this.#listener.drain();
  }

  /** Cuts every connection, those of a drain that has begun, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]();
  }
}
