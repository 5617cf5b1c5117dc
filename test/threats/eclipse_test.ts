/** An attacker who decides what a node gets to hear about its neighbours. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";

Deno.test("T46: A node whose every hint is the attacker's reaches an approved peer where it was before", async () => {
  const data = await Deno.makeTempDir({ prefix: "ark-test-" });
  const silent = Array.from({ length: 8 }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const held: Deno.Conn[] = [];
  const accepting = silent.map(async (listener) => {
    for await (const conn of listener) held.push(conn);
  });
  try {
    await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
    {
      await using a = await TestNode.start({ name: "A", peers: [b.mesh], data });
      await b.approve({ publicKey: a.publicKey, name: "A" });
      await a.approve({ publicKey: b.publicKey, name: "B" });
      await a.reaches(MODEL);
    }
    // From now on it hears of eight places that say nothing, and of a node that is another one.
    await using impostor = await TestNode.start({ name: "B", models: [FIXTURES] });
    const hints = silent.map(({ addr }) => `127.0.0.1:${addr.port}`);
    await using a = await TestNode.start({ name: "A", peers: [...hints, impostor.mesh], data });
    await a.reaches(MODEL);
    const { body } = await a.admin<{ peers: { address: string; public_key: string }[] }>("/peers/status");
    assert.deepEqual(body.peers.map(({ address, public_key }) => [address, public_key]), [[b.mesh, b.publicKey]]);
    const answer = await a.chat({ model: MODEL });
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
    assert.equal(impostor.workerLog(), "");

    // Who is not approved any more is looked for nowhere.
    await a.admin("/peers/revoke", { public_key: b.publicKey });
    await until(async () => (await a.admin<{ peers: unknown[] }>("/peers/status")).body.peers.length === 0);
  } finally {
    for (const listener of silent) listener.close();
    await Promise.all(accepting);
    for (const conn of held) conn.close();
    await Deno.remove(data, { recursive: true });
  }
});
