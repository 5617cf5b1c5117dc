/** A server that speaks OpenAI's API as others do: what it sends is what a test says. */

/** What arrived, and how to answer it. */
export type UpstreamReply = (
  path: string,
  body: Record<string, unknown>,
  request: Request,
) => Response | Promise<Response>;

/** On a free port of the loopback. */
export class UpstreamServer implements AsyncDisposable {
  /** Bodies that arrived, with their paths. */
  readonly asked: { path: string; body: Record<string, unknown>; authorization: string | null; port: number }[] = [];
  /** The ports of the connections that requests came on. */
  readonly connections = new Set<number>();
  /** Requests whose client left before the answer was complete. */
  left = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(reply: UpstreamReply, models: readonly string[] = ["big:70b"]) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request, { remoteAddr }) => {
        this.connections.add(remoteAddr.port);
        const path = new URL(request.url).pathname;
        if (path === "/v1/models") return Response.json({ object: "list", data: models.map((id) => ({ id })) });
        if (request.method !== "POST") return new Response("<h1>Not here</h1>", { status: 404 });
        const body = await request.json();
        this.asked.push({ path, body, authorization: request.headers.get("authorization"), port: remoteAddr.port });
        request.signal.addEventListener("abort", () => this.left++);
        return reply(path, body, request);
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** A stream of server-sent events; without an end where `open` says so. */
export function events(data: readonly (object | string)[], { open = false } = {}): Response {
  const text = data.map((one) => `data: ${typeof one === "string" ? one : JSON.stringify(one)}\n\n`).join("");
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      if (!open) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

/** A chunk of a chat. */
export function chunk(delta: object, rest: object = {}): object {
  return {
    id: "x",
    object: "chat.completion.chunk",
    created: 1,
    model: "x",
    choices: [{ index: 0, delta, finish_reason: null, ...rest }],
  };
}

/** An answer of two words. */
export function twoWords(): Response {
  return events([
    chunk({ role: "assistant", content: "" }),
    chunk({ content: "Hello" }),
    chunk({ content: " there" }),
    chunk({}, { finish_reason: "stop" }),
    { choices: [], usage: { prompt_tokens: 5, completion_tokens: 2 } },
    "[DONE]",
  ]);
}
