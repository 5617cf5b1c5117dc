/** To be approved is nobody's to pass on. */
import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { answer, HostilePeer } from "./hostile_peer.ts";

const QUESTION = { model: MODEL, input: { kind: "completion", prompt: "one two" }, parameters: { max_tokens: 1 } };

Deno.test("T47: What an approved peer says of a third node gives that node nothing", async () => {
  const third = generateIdentity();
  const friend = generateIdentity();
  const publicKey = (identity = third) => `ed25519:${identity.publicKey.toBase64()}`;
  const introduced = {
    node_id: third.id,
    public_key: publicKey(),
    name: "C",
    introducer: true,
    permissions: { can_request_inference: true, can_pull_models: true, models_shared: ["*"] },
  };
  await using provider = await HostilePeer.start("B", { models: ["tiny:1b"] });
  await using node = await TestNode.start({ name: "A", models: [FIXTURES], peers: [provider.address] });

  // In what it offers and in what it answers.
  const gossip = { peers: [introduced], approved_peers: { peers: [introduced] }, introduces: [introduced] };
  Object.assign(provider.offer, gossip);
  provider.behaviour = (arrived, { peer }) => answer([`: ${JSON.stringify(gossip)}\n\n`, ...peer.honest(arrived)]);
  await provider.approveBy(node);
  await node.reaches("tiny:1b");
  await (await node.chat({ model: "tiny:1b", max_tokens: 1 })).body?.cancel();

  // In what it asks for, on every path that sounds like it, with its own signature and in the third node's name.
  await node.approve({ publicKey: publicKey(friend), name: "friend" });
  const to = { id: node.daemon.id, addresses: [node.daemon.mesh] };
  await using client = new MeshClient({ identity: friend });
  for (
    const path of ["/ark/v1/introduce", "/ark/v1/peers", "/ark/v1/gossip", "/peers/approve", "/arknet/peers/approve"]
  ) {
    const body = JSON.stringify(introduced);
    const { status, body: said } = await client.request(to, { method: "POST", path, body, deadlineMs: 5_000 });
    await said.cancel();
    assert.ok(status === 400 || status === 404, `${path}: ${status}`);
  }
  for (const also of [gossip, { on_behalf_of: third.id }, { via: third.id }, { peer: introduced }]) {
    const body = JSON.stringify({ ...QUESTION, ...also });
    const path = "/ark/v1/infer";
    const { status, body: said } = await client.request(to, { method: "POST", path, body, deadlineMs: 5_000 });
    await said.cancel();
    assert.equal(status, 400, JSON.stringify(also));
  }

  const { body } = await node.admin<{ peers: { node_id: string }[] }>("/peers/status");
  assert.equal(body.peers.length, 2);
  const known = JSON.stringify([body, await node.admin("/peers/discovered")]).replaceAll("-", "");
  assert.ok(!known.includes(third.id), "The third node is not even listed");
  await using stranger = new MeshClient({ identity: third });
  for (
    const [method, path, asked] of [["GET", "/ark/v1/offer", ""], ["POST", "/ark/v1/infer", JSON.stringify(QUESTION)]]
  ) {
    const call = { method: String(method), path: String(path), body: String(asked), deadlineMs: 5_000 };
    await assert.rejects(stranger.request(to, call), { code: "unauthenticated" });
  }
  assert.equal(node.workerLog(), "");
  // The same question of the one who was approved is answered.
  const call = { method: "POST", path: "/ark/v1/infer", body: JSON.stringify(QUESTION), deadlineMs: 5_000 };
  const own = await client.request(to, call);
  assert.equal(own.status, 200);
  assert.match(await new Response(own.body).text(), /ark-receipt/);
});
