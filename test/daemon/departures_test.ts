import assert from "node:assert/strict";
import { Departures } from "../../src/daemon/departures.ts";
import { until } from "../inference/local_fixture.ts";
import { LocalServer } from "../../src/daemon/local_server.ts";

const linux = Deno.build.os === "linux";

Deno.test("Departures tells of the connections alone that are not open any more", async () => {
  const head = "  sl  local_address rem_address   st";
  let table = [head, "0: 0100007F:1F90 0100007F:C350 01 0", "1: 0100007F:1F90 0100007F:C351 08 0"].join("\n");
  const departures = new Departures(() => Promise.resolve([table]));
  using open = departures.watch(0x1f90, 0xc350);
  using half = departures.watch(0x1f90, 0xc351);
  using gone = departures.watch(0x1f90, 0xc352);
  await until(() => half.signal.aborted && gone.signal.aborted);
  assert.ok(!open.signal.aborted);
  table = head;
  await until(() => open.signal.aborted);
});

Deno.test("Departures tells nothing where there is no table, or none that can be read", async () => {
  let asked = 0;
  for (const answer of [() => Promise.resolve([]), () => Promise.reject(new Error("denied"))]) {
    const departures = new Departures(() => {
      asked++;
      return answer();
    });
    using client = departures.watch(1, 2);
    const before = asked;
    await until(() => asked > before + 1);
    assert.ok(!client.signal.aborted);
  }
});

for (const pieces of [1, 2]) {
  Deno.test({
    name: `LocalServer tells a handler that its client has left, whose request came in ${pieces} pieces` +
      (linux ? "" : " (skipped: only Linux has a table of connections)"),
    ignore: !linux,
    async fn() {
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
        await client.write(new TextEncoder().encode(text));
        // The kernel would make one piece of two that follow each other at once.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await arrived.promise;
      client.close();
      await left.promise;
    },
  });
}
