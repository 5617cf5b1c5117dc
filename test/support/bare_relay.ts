// deno-lint-ignore-file no-console
/**
 * Hands every request on to a server, and its answer back, without a look at either; prints its address. With the path of
 * a certificate it asks over HTTP/1.1 and TLS, as a node asks a peer.
 */
const [target = "", anchor] = Deno.args;
const tls = anchor === undefined
  ? {}
  : { client: Deno.createHttpClient({ caCerts: [Deno.readTextFileSync(anchor)], http2: false }) };
const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async ({ method, url, headers, body }) => {
    const answer = await fetch(target + new URL(url).pathname, { method, headers, body, ...tls });
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  },
);
console.log(`http://127.0.0.1:${server.addr.port}`);
