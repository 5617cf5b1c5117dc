/** A model that is to be in memory on one of the owner's two nodes: real nodes, real offers, real workers. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "./test_node.ts";

const flags = { pin: [MODEL], replicas: "1", "keep-alive": "1s" };

function warm(node: TestNode): boolean {
  return node.daemon.engine?.backend.loaded().some(({ id }) => id === MODEL) ?? false;
}

async function approveOwn(node: TestNode, other: TestNode, name: string): Promise<void> {
  const { status, body } = await node.admin("/peers/approve", {
    public_key: other.publicKey,
    name,
    own: true,
    permissions: { can_request_inference: true, models_shared: ["*"], max_concurrent_requests: 2 },
  });
  assert.equal(status, 200, JSON.stringify(body));
}

Deno.test("Of two own nodes one keeps a pinned model in memory, and the other one takes over when it goes", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES], flags });
  {
    await using a = await TestNode.start({ name: "A", models: [FIXTURES], peers: [b.mesh], flags });
    // Each for itself, as long as their owner has not said that both are his.
    await until(() => warm(a) && warm(b));
    await approveOwn(a, b, "B");
    await approveOwn(b, a, "A");
    const { body } = await a.admin<{ peers: { own?: boolean }[] }>("/peers/status");
    assert.ok(body.peers[0]?.own);
    const [first, second] = a.daemon.id < b.daemon.id ? [a, b] : [b, a];
    await until(() => !warm(second));
    assert.ok(warm(first));
    // To say what a peer may do does not say that it is another's.
    await a.approve({ publicKey: b.publicKey, name: "B" });
    assert.ok(a.daemon.book.get(b.daemon.id)?.own);
    if (first === b) await b.daemon.engine?.backend.unload(MODEL);
  }
  await until(() => warm(b));
});

Deno.test("A node says how often requests met a model that was not in memory", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  for (let request = 0; request < 2; request++) {
    const response = await node.chat({ model: MODEL, max_tokens: 1 });
    await response.body?.cancel();
  }
  const metrics = await (await fetch(`${node.api}/metrics`)).text();
  assert.match(metrics, /^ark_cold_starts_total\{what="met"\} 1$/m, metrics);
});
