/** What a node remembers of the owner's sleeping nodes is for the owner alone. */
import assert from "node:assert/strict";
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import { MeshPeer } from "./mesh_peer.ts";
import { TestNode } from "./test_node.ts";

const MODEL = "sleepy:7b";

Deno.test("A peer's request wakes nobody, and neither does one that must stay here: only the owner's own may", async () => {
  const data = await Deno.makeTempDir();
  const nas = generateIdentity();
  const model = { id: MODEL, digest: null, size: 1, context_length: 64, parameters: null, quantization: null };
  const permissions = { can_request_inference: true, models_shared: ["*"], max_concurrent_requests: 1 };
  try {
    {
      await using node = await TestNode.start({ name: "N", data });
      await node.admin("/peers/approve", {
        public_key: formatPublicKey(nas.publicKey),
        name: "NAS",
        own: true,
        permissions,
      });
    }
    await Deno.writeTextFile(
      `${data}/own_nodes.json`,
      JSON.stringify({
        nodes: [{
          node_id: nas.id,
          wake: { macs: ["02:fc:00:00:00:07"], possible: true },
          addresses: ["127.0.0.1"],
          models: [model],
          seen_at: Date.now(),
        }],
      }),
    );
    await using node = await TestNode.start({ name: "N", data });
    await using peer = new MeshPeer(node.daemon.id, node.daemon.mesh);
    await node.approve(peer);
    const listed = await (await fetch(`${node.api}/v1/models`)).json();
    assert.deepEqual(listed.data.map(({ id }: { id: string }) => id), [MODEL]);
    const { body } = await node.admin<{ models: { within_reach: number } }>("/status");
    assert.equal(body.models.within_reach, 0, "What sleeps is not within reach");

    const asked = await peer.ask({
      model: MODEL,
      input: { kind: "completion", prompt: "a" },
      parameters: { max_tokens: 1 },
    });
    assert.equal(asked.code, "ark_model_not_found");
    assert.deepEqual(JSON.parse((await peer.get("/ark/v1/offer")).text).models, [], "Nor is it told of");
    const here = await node.chat({ model: MODEL }, { headers: { "x-ark-local-only": "1" } });
    await here.body?.cancel();
    assert.equal(here.status, 503);
    assert.ok(!node.log.some((line) => line.includes("is being woken")), node.log.join(""));

    // One that is no node of the owner's any more is forgotten.
    await node.admin("/peers/approve", {
      public_key: formatPublicKey(nas.publicKey),
      name: "NAS",
      own: false,
      permissions,
    });
    assert.deepEqual((await (await fetch(`${node.api}/v1/models`)).json()).data, []);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("How a node is woken is told to nodes that its owner calls his own, and to nobody else", async () => {
  await using node = await TestNode.start({ name: "N" });
  await using stranger = new MeshPeer(node.daemon.id, node.daemon.mesh);
  await using own = new MeshPeer(node.daemon.id, node.daemon.mesh);
  await node.approve(stranger);
  const permissions = { can_request_inference: true, models_shared: ["*"], max_concurrent_requests: 1 };
  await node.admin("/peers/approve", { public_key: own.publicKey, own: true, permissions });
  const told = JSON.parse((await own.get("/ark/v1/wake")).text);
  assert.ok(Array.isArray(told.macs) && "possible" in told);
  assert.deepEqual(await stranger.get("/ark/v1/wake"), await stranger.get("/ark/v1/nothing"));
});
