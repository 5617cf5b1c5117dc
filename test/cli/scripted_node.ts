/** A node that says whatever a test wants, for the commands that ask one. */

/** What it answers. */
export interface ScriptedAnswers {
  /** Bodies of answers by path, without what stands behind `?`; a whole answer, or what makes one of the request. */
  [path: string]: unknown;
}

/** A listener with a data directory, as a running node has it. */
export class ScriptedNode implements AsyncDisposable {
  /** Its data directory. */
  readonly data: string;
  /** What it answers; may be changed while it runs. */
  readonly answers: ScriptedAnswers;
  /** Paths of the calls that had a body, and what was in them. */
  readonly posted: [path: string, body: unknown][] = [];
  readonly #server: Deno.HttpServer;

  private constructor(
    parts: { data: string; answers: ScriptedAnswers; server: Deno.HttpServer; posted: [string, unknown][] },
  ) {
    [this.data, this.answers, this.#server, this.posted] = [parts.data, parts.answers, parts.server, parts.posted];
  }

  /** Starts one. */
  static async start(answers: ScriptedAnswers): Promise<ScriptedNode> {
    const data = await Deno.makeTempDir({ prefix: "ark-scripted-" });
    const posted: [string, unknown][] = [];
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const { pathname } = new URL(request.url);
      if (request.method === "POST") posted.push([pathname, await request.json()]);
      if (pathname === "/api/v1/events") return eventsUntil(request.signal);
      const answer = answers[pathname];
      if (answer instanceof Response) return answer;
      if (typeof answer === "function") return answer(request);
      return answer === undefined ? new Response("{}", { status: 404 }) : Response.json(answer);
    });
    const { port } = server.addr as Deno.NetAddr;
    await Deno.writeTextFile(`${data}/node.lock`, JSON.stringify({ pid: Deno.pid, api: `http://127.0.0.1:${port}` }));
    await Deno.writeTextFile(`${data}/admin.token`, "t".repeat(43), { mode: 0o600 });
    return new ScriptedNode({ data, answers, server, posted });
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await Deno.remove(this.data, { recursive: true });
  }
}

/** A stream that says nothing more, and ends with its reader. */
function eventsUntil(signal: AbortSignal): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('data: {"type":"hello"}\n\n'));
      signal.addEventListener("abort", () => {
        try {
          controller.close();
        } catch {
          // The reader has cancelled it.
        }
      });
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}
