// deno-lint-ignore-file no-console
/**
 * Hands one request of each connection on to a server, and the bytes of its answer back, read from one socket and written
 * to the other: the least that JavaScript can do with bytes that it sees in Deno. Prints its address.
 */
const [target = ""] = Deno.args;
const { hostname, port } = new URL(target);
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(`http://127.0.0.1:${listener.addr.port}`);
for await (const client of listener) relay(client).catch(() => client.close());

async function relay(client: Deno.TcpConn): Promise<void> {
  using server = await Deno.connect({ hostname, port: Number(port) });
  const buffer = new Uint8Array(16 << 10);
  const decoder = new TextDecoder();
  let request = "";
  while (!/\r\n\r\n[^]*\}$/.test(request)) {
    const count = await client.read(buffer);
    if (count === null) return client.close();
    request += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  await server.write(new TextEncoder().encode(request.replace("\r\n", "\r\nconnection: close\r\n")));
  for (let count = await server.read(buffer); count !== null; count = await server.read(buffer)) {
    for (let at = 0; at < count;) at += await client.write(buffer.subarray(at, count));
  }
  client.close();
}
