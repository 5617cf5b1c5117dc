/** How requests that come together are spread over the nodes that have a model, and what becomes of those that find no room. */
import assert from "node:assert/strict";
import type { PeerStatus } from "@ark/node/http";
import { until } from "../inference/local_fixture.ts";
import { auditOf, FIXTURES, MODEL, readStream, TestNode } from "./test_node.ts";

/** A gateway without a model, and nodes that have one: each lets the gateway run so many requests at once. */
async function gateway(
  stack: AsyncDisposableStack,
  allowed: readonly number[],
): Promise<{ a: TestNode; nodes: TestNode[] }> {
  const nodes: TestNode[] = [];
  for (const index of allowed.keys()) {
    const flags = { slots: "4" };
    nodes.push(stack.use(await TestNode.start({ name: `B${index}`, models: [FIXTURES], flags })));
  }
  const a = stack.use(await TestNode.start({ name: "A", peers: nodes.map(({ mesh }) => mesh) }));
  for (const [index, node] of nodes.entries()) {
    await node.approve({ publicKey: a.publicKey, name: "A" }, { max_concurrent_requests: allowed[index] ?? 1 });
    await a.approve({ publicKey: node.publicKey, name: `B${index}` });
  }
  await until(async () => (await statusOf(a)).every(({ live, models }) => live && models.length === 1));
  // A model that is being loaded is slower than all the others.
  await Promise.all(nodes.map(async (node) => {
    await (await node.chat({ model: MODEL, max_tokens: 1 })).body?.cancel();
    await until(() => node.daemon.engine?.backend.loaded().length === 1 && node.daemon.engine.backend.busy === 0);
  }));
  await until(async () => {
    const { body } = await a.admin<{ models: { loaded: boolean }[] }>("/models");
    return body.models.filter(({ loaded }) => loaded).length === nodes.length;
  });
  return { a, nodes };
}

async function statusOf(node: TestNode): Promise<PeerStatus[]> {
  return (await node.admin<{ peers: PeerStatus[] }>("/peers/status")).body.peers;
}

/** How many requests of peers a node began. */
function served(node: TestNode): number {
  return auditOf(node).filter(({ kind, direction }) => kind === "start" && direction === "in").length;
}

async function ask(node: TestNode, { words = 30 } = {}): Promise<string | null> {
  // Each asks something of its own: the same question goes where it was read before.
  const messages = [{ role: "user", content: `#slow=30 ${crypto.randomUUID()}` }];
  const response = await node.chat({ model: MODEL, stream: true, max_tokens: words, messages });
  const { done, error } = await readStream(response);
  return done ? null : error ?? `status ${response.status}`;
}

Deno.test("Ten clients at one gateway are spread over all nodes that have the model", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, nodes } = await gateway(stack, [8, 8, 8]);
  const failures = await Promise.all(Array.from({ length: 10 }, () => ask(a)));
  assert.deepEqual(failures.filter((error) => error !== null), []);
  const counts = nodes.map(served);
  // Whoever is slow to begin may have been asked beside another one.
  assert.ok(counts.reduce((sum, count) => sum + count, 0) >= 10, `${counts}`);
  assert.ok(counts.every((count) => count >= 2), `${counts}`);
});

Deno.test("Where one node has room for one request of ours, the others are answered elsewhere", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, nodes } = await gateway(stack, [1, 8]);
  const failures = await Promise.all(Array.from({ length: 4 }, () => ask(a)));
  assert.deepEqual(failures.filter((error) => error !== null), []);
  const [small = NaN, large = NaN] = nodes.map(served);
  // One that waits may have been asked elsewhere as well, as soon as there was room.
  assert.ok(small + large >= 4, `${small} ${large}`);
  assert.ok(large >= 3, `${small} ${large}`);
});

Deno.test("A node whose owner uses all of it is seen busy, and its peers ask another one meanwhile", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, nodes: [first, second] } = await gateway(stack, [8, 8]);
  assert.ok(first !== undefined && second !== undefined);
  const slow = { model: MODEL, stream: true, max_tokens: 2_000, messages: [{ role: "user", content: "#slow=20" }] };
  const own = await Promise.all([0, 1, 2, 3].map(() => first.chat(slow)));
  await until(async () => (await statusOf(a)).some(({ name, state }) => name === "B0" && state === "busy"));
  const failures = await Promise.all([0, 1, 2].map(() => ask(a)));
  assert.deepEqual(failures, [null, null, null]);
  assert.deepEqual([served(first), served(second)], [0, 3]);
  await Promise.all(own.map((response) => response.body?.cancel()));
  await until(async () => (await statusOf(a)).every(({ state }) => state === "ready"));
});
