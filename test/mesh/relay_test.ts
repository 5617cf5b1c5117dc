import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { MeshPeer, question } from "./mesh_peer.ts";
import { auditOf, FIXTURES, MODEL, TestNode } from "./test_node.ts";

Deno.test("T61: A peer's request takes one hop: B neither offers C's models to A, nor asks C for A", async () => {
  await using c = await TestNode.start({ name: "C", models: [FIXTURES] });
  await using b = await TestNode.start({ name: "B", peers: [c.mesh] });
  await c.approve({ publicKey: b.publicKey, name: "B" });
  await b.approve({ publicKey: c.publicKey, name: "C" });
  await b.reaches(MODEL);
  await using a = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await b.approve(a);
  const own = await b.chat({ model: MODEL, max_tokens: 1 });
  assert.equal(own.status, 200, "B's owner may ask C");
  await own.body?.cancel();
  await until(() => auditOf(c).filter(({ kind }) => kind === "end").length === 1);
  const [seen, recorded] = [c.workerLog(), auditOf(c).length];

  const offer = await a.client.request({ id: b.daemon.id, addresses: [b.daemon.mesh] }, {
    method: "GET",
    path: "/ark/v1/offer?port=0",
    deadlineMs: 5_000,
  });
  assert.deepEqual((await new Response(offer.body as ReadableStream).json()).models, []);
  assert.equal((await a.ask(question(MODEL, "one"))).code, "ark_model_not_found");
  // No field and no path names somebody else to ask.
  for (const name of ["via", "ark-via", "node", "peer", "to", "route", "forward"]) {
    const { status, code } = await a.ask({ ...question(MODEL, "one"), [name]: c.daemon.id });
    assert.deepEqual([status, code], [400, "ark_bad_request"], name);
  }
  await b.approve(a, { models_shared: ["tiny:*"] });
  const refused = await a.ask(question(MODEL, "one"));
  assert.deepEqual([refused.status, refused.code], [403, "ark_model_not_shared"]);
  // What A signed is A's: C does not know it, whoever brings it.
  await using stranger = new MeshPeer(c.daemon.id, c.daemon.mesh, a.identity);
  await assert.rejects(stranger.open(question(MODEL, "one")), { code: "unauthenticated" });
  assert.equal(c.workerLog(), seen, "C's engine has heard nothing");
  await until(() => auditOf(c).some(({ kind }) => kind === "deny"));
  assert.ok(auditOf(c).slice(recorded).every(({ kind }) => kind === "deny"));
});
