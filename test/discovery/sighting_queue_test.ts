import assert from "node:assert/strict";
import type { Sighting } from "@ark/node/discovery";
import { SightingQueue } from "../../src/discovery/sighting_queue.ts";

function sighting(port: number, gone = false): Sighting {
  return { source: "mdns", shortId: null, address: { hostname: "192.168.1.2", port }, gone };
}

Deno.test("SightingQueue keeps only the latest about each address", async () => {
  const queue = new SightingQueue();
  queue.put(sighting(9001));
  queue.put(sighting(9002));
  queue.put({ ...sighting(9001), gone: true });
  queue.close();
  assert.deepEqual(await Array.fromAsync(queue), [sighting(9002), { ...sighting(9001), gone: true }]);
});

Deno.test("SightingQueue holds no more than 256 addresses for a consumer that sleeps", async () => {
  const queue = new SightingQueue();
  for (let port = 1; port <= 1_000; port++) queue.put(sighting(port));
  queue.close();
  const ports = (await Array.fromAsync(queue)).map(({ address }) => address.port);
  assert.deepEqual(ports, Array.from({ length: 256 }, (_, index) => 745 + index));
});

Deno.test("SightingQueue wakes a consumer that waits, and takes puts while it reads", async () => {
  const queue = new SightingQueue();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const { address } of queue) {
      seen.push(address.port);
      if (address.port < 5) queue.put(sighting(address.port + 1));
      else queue.close();
    }
  })();
  await Promise.resolve();
  queue.put(sighting(1));
  await reading;
  assert.deepEqual(seen, [1, 2, 3, 4, 5]);
});
