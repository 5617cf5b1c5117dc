/** Wishes for copies between whole nodes. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { MeshPeer } from "./mesh_peer.ts";
import { FIXTURES, MODEL, TestNode } from "./test_node.ts";

interface Wishes {
  wishes: { model: string; copies: number; holders: string[] | null; candidates: string[] }[];
}

Deno.test("A wish for copies is told to the owner's own nodes alone, and those that could fetch it are known", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "A", peers: [b.mesh], flags: { "accept-copies": true } });
  await using stranger = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await using own = new MeshPeer(b.daemon.id, b.daemon.mesh);
  const permissions = {
    can_request_inference: true,
    can_pull_models: true,
    models_shared: ["*"],
    max_concurrent_requests: 2,
  };
  const approve = (node: TestNode, publicKey: string, more: Record<string, unknown> = {}) =>
    node.admin("/peers/approve", { public_key: publicKey, own: true, permissions: { ...permissions, ...more } });
  await approve(b, a.publicKey);
  await approve(a, b.publicKey);
  await b.approve(stranger, permissions);
  await approve(b, own.publicKey);
  await until(() => b.daemon.engine?.catalogue.find(MODEL)?.digest !== null);
  await a.reaches(MODEL);

  assert.equal((await b.admin("/models/copies", { model: "none", copies: 2 })).status, 404);
  assert.equal((await b.admin("/models/copies", { model: MODEL, copies: 65 })).status, 400);
  assert.equal((await b.admin("/models/copies", { model: MODEL, copies: "2" })).status, 400);
  assert.deepEqual((await b.admin("/models/copies", { model: "arkling", copies: 2 })).body, {
    model: MODEL,
    copies: 2,
  });
  await until(async () => {
    const { body: { wishes: [wish] } } = await b.admin<Wishes>("/models/copies");
    assert.deepEqual([wish?.model, wish?.copies, wish?.holders], [MODEL, 2, [b.daemon.id]]);
    return wish?.candidates.length === 1 && wish.candidates[0] === a.daemon.id;
  });

  const told = JSON.parse((await own.get("/ark/v1/copies")).text);
  assert.deepEqual([told.accepts, told.has.length, told.wishes[0].model], [false, 1, MODEL]);
  const [refused, unknown] = [await stranger.get("/ark/v1/copies"), await stranger.get("/ark/v1/nothing")];
  assert.equal(refused.status, 400);
  assert.deepEqual(refused, unknown, "To others there is no such request");
  // What its owner's own node may not download it is not told of.
  await approve(b, own.publicKey, { can_pull_models: false });
  const less = JSON.parse((await own.get("/ark/v1/copies")).text);
  assert.deepEqual([less.has, less.wishes], [[], []]);

  await b.admin("/models/copies", { model: MODEL, copies: null });
  assert.deepEqual((await b.admin("/models/copies")).body, { wishes: [] });
});
