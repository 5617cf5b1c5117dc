import assert from "node:assert/strict";
import { MeshClient } from "@ark/node/transport";
import { TestMesh } from "./mesh_fixture.ts";

Deno.test("A dial that is given up leaves no connection behind, in whatever moment that is", async () => {
  await using mesh = await TestMesh.start();
  await using client = new MeshClient({ identity: mesh.alice });
  const to = { id: mesh.bob.id, addresses: [{ hostname: "127.0.0.1", port: mesh.listener.port }] };
  let given = 0;
  await Promise.all(Array.from({ length: 20 }, async () => {
    for (let round = 0; round < 20; round++) {
      const gone = new AbortController();
      const timer = setTimeout(() => gone.abort(), Math.random() * 30);
      try {
        const { body } = await client.request(to, {
          method: "GET",
          path: "/x",
          deadlineMs: 60_000,
          signal: gone.signal,
        });
        await body.cancel();
      } catch {
        given++;
      }
      clearTimeout(timer);
    }
  }));
  // The test runner itself finds connections that are still open.
  assert.ok(given > 100, `${given} given up`);
});
