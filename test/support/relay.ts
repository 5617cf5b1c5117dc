/** Stands between a client and a server, byte for byte, and keeps the first line of each request that it sees. */
export class Relay implements AsyncDisposable {
  /** First lines of requests, such as `GET /v1/models HTTP/1.1`. */
  readonly seen: string[] = [];
  readonly #listener: Deno.TcpListener;
  readonly #to: { hostname: string; port: number };
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #running: Promise<void>;
  #page: string | null;

  /**
   * Listens; port 0 takes a free one. With `page`, every request is answered with that page until {@linkcode flip}: what a
   * browser sees of a name that is resolved anew, to another address.
   */
  constructor(
    { listen, to, page = null }: {
      listen: { hostname: string; port: number };
      to: { hostname: string; port: number };
      page?: string | null;
    },
  ) {
    this.#listener = Deno.listen(listen);
    this.#to = to;
    this.#page = page;
    this.#running = this.#accept();
  }

  /** Where it listens. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** From now on connections lead to the server. */
  flip(): void {
    this.#page = null;
    for (const connection of this.#connections) close(connection);
  }

  /** Stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await this.#running;
  }

  async #accept(): Promise<void> {
    const served: Promise<void>[] = [];
    for await (const connection of this.#listener) served.push(this.#serve(connection));
    await Promise.all(served);
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    this.#connections.add(client);
    try {
      if (this.#page === null) await this.#pass(client);
      else await answer(client, this.#page);
    } catch {
      // Either side may go away at any time.
    } finally {
      close(client);
      this.#connections.delete(client);
    }
  }

  async #pass(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect(this.#to);
    this.#connections.add(server);
    try {
      await Promise.all([
        copy(client, server, (text) => {
          for (const [line] of text.matchAll(/^[A-Z]+ \S+ HTTP\/1\.1(?=\r$)/gm)) this.seen.push(line);
        }),
        copy(server, client),
      ]);
    } finally {
      close(server);
      this.#connections.delete(server);
    }
  }
}

async function answer(client: Deno.TcpConn, page: string): Promise<void> {
  await client.read(new Uint8Array(16_384));
  const body = new TextEncoder().encode(page);
  const head =
    `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  await client.write(new TextEncoder().encode(head));
  await client.write(body);
}

async function copy(from: Deno.TcpConn, to: Deno.TcpConn, look?: (text: string) => void): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (let size = await from.read(buffer); size !== null; size = await from.read(buffer)) {
      look?.(new TextDecoder("latin1").decode(buffer.subarray(0, size)));
      for (let done = 0; done < size;) done += await to.write(buffer.subarray(done, size));
    }
  } finally {
    close(to);
    close(from);
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}
