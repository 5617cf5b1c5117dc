// deno-lint-ignore-file no-console
/**
 * A server with OpenAI's API that writes a token every so many milliseconds, each by itself; prints its address. With the
 * paths of a certificate for 127.0.0.1 and its key it speaks TLS.
 */
const [certificate, key] = Deno.args;
const ENCODER = new TextEncoder();
const tls = certificate === undefined || key === undefined
  ? {}
  : { cert: Deno.readTextFileSync(certificate), key: Deno.readTextFileSync(key) };

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls }, async (request) => {
  if (request.method !== "POST") return Response.json({ object: "list", data: [{ id: "paced", object: "model" }] });
  const { max_tokens = 16, messages = [] } = await request.json();
  const everyMs = Number(/every (\d+)/.exec(messages[0]?.content ?? "")?.[1] ?? 1);
  return new Response(paced(max_tokens, everyMs), { headers: { "content-type": "text/event-stream" } });
});
console.log(`http${certificate === undefined ? "" : "s"}://127.0.0.1:${server.addr.port}`);

function paced(tokens: number, everyMs: number): ReadableStream<Uint8Array> {
  let written = 0;
  let timer: ReturnType<typeof setInterval>;
  return new ReadableStream({
    start(controller) {
      const say = (data: unknown) => controller.enqueue(ENCODER.encode(`data: ${JSON.stringify(data)}\n\n`));
      const chunk = (delta: object, finish_reason: string | null) => {
        const choices = [{ index: 0, delta, logprobs: null, finish_reason }];
        say({ id: "chatcmpl-0123456789abcdef", object: "chat.completion.chunk", created: 1, model: "paced", choices });
      };
      chunk({ role: "assistant", content: "" }, null);
      timer = setInterval(() => {
        if (written < tokens) return chunk({ content: `t${written++} ` }, null);
        clearInterval(timer);
        chunk({}, "stop");
        controller.enqueue(ENCODER.encode("data: [DONE]\n\n"));
        controller.close();
      }, everyMs);
    },
    cancel: () => clearInterval(timer),
  });
}
