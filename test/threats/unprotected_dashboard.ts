/**
 * A dashboard without any protection: it answers every page and does what it is told. Attacks that get nothing from it, either,
 * would show nothing.
 */
export class UnprotectedDashboard implements AsyncDisposable {
  /** What was done to it, as `METHOD path`. */
  readonly done: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** Listens on a free port of the loopback. */
  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  /** Its origin. */
  get origin(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const headers = new Headers({
      "access-control-allow-origin": request.headers.get("origin") ?? "*",
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "*",
      "access-control-allow-private-network": "true",
    });
    if (request.method === "OPTIONS") return new Response(null, { headers });
    if (request.headers.get("upgrade") === "websocket") return Deno.upgradeWebSocket(request).response;
    await request.arrayBuffer();
    if (request.method === "POST") this.done.push(`POST ${pathname}`);
    const type = pathname.endsWith(".js") || pathname === "/status"
      ? "text/javascript"
      : pathname.endsWith(".css")
      ? "text/css"
      : pathname.endsWith(".svg")
      ? "image/svg+xml"
      : pathname === "/ui/"
      ? "text/html"
      : pathname === "/api/v1/events"
      ? "text/event-stream"
      : "application/json";
    headers.set("content-type", type);
    return new Response(BODIES[type], { headers });
  }
}

const TELL = "(globalThis.opener ?? globalThis.parent)?.postMessage('loot', '*')";
const BODIES: Record<string, string> = {
  "text/javascript": "globalThis.secret = 1;",
  "text/css": "body { color: red }",
  "image/svg+xml": `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`,
  "text/html": `<!doctype html><title>Dashboard</title><script>${TELL}</script>`,
  "text/event-stream": 'data: {"secret":1}\n\n',
  "application/json": '{"secret":1}',
};
