import assert from "node:assert/strict";
import { LocalServer } from "../../src/daemon/local_server.ts";

const ENCODER = new TextEncoder();

for (const pieces of [1, 2]) {
  Deno.test(`LocalServer tells a handler that its client has left, whose request came in ${pieces} pieces`, async () => {
    const arrived = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    await using server = await LocalServer.listen({ hostname: "127.0.0.1", port: 0 }, () => async (request) => {
      await request.bytes();
      request.signal.addEventListener("abort", () => left.resolve(), { once: true });
      arrived.resolve();
      await left.promise;
      return new Response("late");
    });
    const client = await Deno.connect(server.address);
    const parts = ["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n", "abcd"];
    for (const text of pieces === 1 ? [parts.join("")] : parts) {
      await client.write(ENCODER.encode(text));
      // The kernel would make one piece of two that follow each other at once.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await arrived.promise;
    client.close();
    await left.promise;
  });
}

Deno.test("LocalServer.drain() lets running requests end, and takes no others", async () => {
  const arrived = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  await using server = await LocalServer.listen({ hostname: "127.0.0.1", port: 0 }, () => async () => {
    arrived.resolve();
    await go.promise;
    return new Response("answered");
  });
  const url = `http://127.0.0.1:${server.address.port}/`;
  const running = fetch(url).then((response) => response.text());
  await arrived.promise;
  const drained = server.drain();
  await assert.rejects(fetch(url));
  go.resolve();
  assert.equal(await running, "answered");
  await drained;
});
