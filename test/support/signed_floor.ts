/**
 * A server for signed requests and nothing behind it: what the transport between two nodes takes by itself. It prints its
 * id and port, answers whoever signs with one piece at once, and writes as many further ones as the question says every few
 * milliseconds, each with the wall clock at which it was written.
 */
// deno-lint-ignore-file no-console
import { generateIdentity } from "@ark/node/identity";
import { type ByteSink, listenMesh, notePushed, signedBody } from "@ark/node/transport";

const [everyMs = 3] = Deno.args.map(Number);
const ENCODER = new TextEncoder();

const identity = generateIdentity();
const listener = await listenMesh({
  identity,
  hostname: "127.0.0.1",
  port: 0,
  standing: () => "approved",
  handler: async (request) => {
    const question = await (signedBody(request) ?? request.arrayBuffer());
    const { pieces } = JSON.parse(new TextDecoder().decode(question));
    const body = new ReadableStream<Uint8Array>();
    notePushed(body, { pipe: (sink) => pipe(sink, pieces) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  },
});
console.log(JSON.stringify({ id: identity.id, port: listener.port }));

async function pipe(sink: ByteSink, pieces: number): Promise<void> {
  for (let piece = 0; piece < pieces; piece++) {
    if (piece > 0) await new Promise((resolve) => setTimeout(resolve, everyMs));
    sink.write(ENCODER.encode(`${(performance.timeOrigin + performance.now()).toFixed(3)}\n`));
  }
}
