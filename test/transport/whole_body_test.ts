import assert from "node:assert/strict";
import { listenPlain, wholeBody } from "@ark/node/transport";
import { rawHttp } from "../support/raw_http.ts";

const ENCODER = new TextEncoder();

/** Says what the body was, and whether it came at once; two questions may share a connection. */
function listen() {
  return listenPlain({
    hostname: "127.0.0.1",
    port: 0,
    handler: async (request) => {
      if (request.url.endsWith("/begun")) await request.text();
      const whole = await wholeBody(request);
      return new Response(`[${whole === null ? "null" : new TextDecoder().decode(whole)}]`);
    },
  });
}

function post(body: string, path = "/"): string {
  return `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

function bodies(said: string): string[] {
  return [...said.matchAll(/\[([^\]]*)\]/g)].map(([, body]) => body ?? "");
}

Deno.test("wholeBody() gives a body whose length was stated, and the connection carries the next request", async () => {
  await using server = await listen();
  const said = await rawHttp(server.port, post("one") + post("two") + post("two", "/begun") + post("last"));
  assert.deepEqual(bodies(said), ["one", "two", "null", "last"]);
});

Deno.test("wholeBody() has nothing of a body that comes in chunks, is not there, or is not one of a listener", async () => {
  await using server = await listen();
  const chunks = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
  assert.deepEqual(bodies(await rawHttp(server.port, chunks)), ["null"]);
  assert.deepEqual(bodies(await rawHttp(server.port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n" + post(""))), [
    "null",
    "null",
  ]);
  assert.equal(wholeBody(new Request("http://h/", { method: "POST", body: "a" })), null);
});

Deno.test("wholeBody() waits for a body that comes in pieces, and asks for it where its sender waits", async () => {
  await using server = await listen();
  using client = await Deno.connect(server);
  const large = "x".repeat(200_000);
  await client.write(
    ENCODER.encode(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${large.length}\r\nExpect: 100-continue\r\n\r\n`),
  );
  const buffer = new Uint8Array(64 << 10);
  const read = async () => new TextDecoder().decode(buffer.subarray(0, await client.read(buffer) ?? 0));
  assert.match(await read(), /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  const bytes = ENCODER.encode(large);
  for (let at = 0; at < bytes.length;) at += await client.write(bytes.subarray(at, at + 30_000));
  let said = "";
  while (!said.includes("]")) said += await read();
  assert.deepEqual(bodies(said), [large]);
});

Deno.test("wholeBody() rejects when the sender leaves before the end", async () => {
  const failed = Promise.withResolvers<unknown>();
  await using server = await listenPlain({
    hostname: "127.0.0.1",
    port: 0,
    handler: async (request) => {
      await wholeBody(request)?.catch((error) => failed.resolve(error));
      return new Response(null);
    },
  });
  const client = await Deno.connect(server);
  await client.write(ENCODER.encode("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"));
  client.close();
  assert.match(String(await failed.promise), /ended before the body did/);
});
