// deno-lint-ignore-file no-console
/** Hands every request on to a server, and its answer back, piece by piece, each of which JavaScript sees; prints its address. */
const [target = ""] = Deno.args;
const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async ({ method, url, headers, body }) => {
    const answer = await fetch(target + new URL(url).pathname, { method, headers, body });
    const reader = answer.body?.getReader();
    const seen = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const next = await reader?.read();
        if (next === undefined || next.done) controller.close();
        else controller.enqueue(next.value);
      },
      cancel: (reason) => reader?.cancel(reason),
    });
    return new Response(seen, { status: answer.status, headers: answer.headers });
  },
);
console.log(`http://127.0.0.1:${server.addr.port}`);
