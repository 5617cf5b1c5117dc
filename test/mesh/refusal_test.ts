import assert from "node:assert/strict";
import { generateIdentity, type Identity } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";
import { until } from "../inference/local_fixture.ts";
import { rawRequest, sendRaw } from "./raw_peer.ts";
import { auditOf, FIXTURES, MODEL, Pair, TestNode } from "./test_node.ts";

const QUESTION = JSON.stringify({
  model: MODEL,
  input: { kind: "chat", messages: [{ role: "user", content: "one two" }] },
  parameters: { max_tokens: 2 },
});

function keyOf(identity: Identity) {
  return { publicKey: `ed25519:${identity.publicKey.toBase64()}` };
}

Deno.test("A node that was not approved gets the uniform refusal, shows as pending, and the worker has seen nothing", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  const stranger = generateIdentity();
  await using client = new MeshClient({ identity: stranger });
  const to = { id: b.daemon.id, addresses: [b.daemon.mesh] };
  await assert.rejects(
    client.request(to, { method: "POST", path: "/ark/v1/infer", body: QUESTION, deadlineMs: 5_000 }),
    { code: "unauthenticated" },
  );
  const signed = await sendRaw(b.daemon.mesh, rawRequest(QUESTION, { to: b.daemon.id, signer: stranger }));
  const unsigned = await sendRaw(b.daemon.mesh, rawRequest(QUESTION, { to: b.daemon.id, signer: null }));
  assert.equal(signed.status, 401);
  assert.equal(signed.text, unsigned.text);
  const { body } = await b.admin<{ peers: { node_id: string; state: string }[] }>("/peers/discovered");
  assert.deepEqual(body.peers.map(({ node_id, state }) => [node_id.replaceAll("-", ""), state]), [[
    stranger.id,
    "pending",
  ]]);
  assert.equal(b.workerLog(), "");
  await until(() => auditOf(b).some(({ kind, outcome }) => kind === "deny" && outcome === "unauthenticated"));
});

Deno.test("A revoked node is cut off in the middle of an answer, and refused from then on", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const body = { model: MODEL, stream: true, max_tokens: 2_000, messages: [{ role: "user", content: "#slow=10" }] };
  const response = await a.chat(body);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  await reader?.read();
  assert.equal((await b.admin("/peers/revoke", { public_key: a.publicKey })).status, 200);
  let rest = "";
  for (let step = await reader?.read(); step && !step.done; step = await reader?.read()) rest += step.value;
  assert.match(rest, /"error"/);
  assert.doesNotMatch(rest, /\[DONE\]/);
  await until(() => b.workerLog().includes('"cancelled":true'));

  const before = b.workerLog();
  await until(async () => {
    const { body } = await a.admin<{ peers: { state: string }[] }>("/peers/status");
    return body.peers[0]?.state === "revoked" || body.peers[0]?.state === "not_approved";
  });
  const again = await a.chat({ model: MODEL });
  assert.ok([403, 404, 503].includes(again.status));
  await again.body?.cancel();
  assert.equal(b.workerLog(), before);
  assert.deepEqual(auditOf(b).filter(({ kind }) => kind === "revoke").map(({ peer }) => peer), [a.daemon.id]);
});

Deno.test("A request goes to nobody who answers at the peer's address with another key", async () => {
  await using impostor = await TestNode.start({ name: "impostor", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "A", peers: [impostor.mesh] });
  const real = generateIdentity();
  await a.approve({ ...keyOf(real), name: "B" });
  await impostor.approve({ publicKey: a.publicKey, name: "A" });
  await using client = new MeshClient({ identity: generateIdentity() });
  await assert.rejects(
    client.request({ id: real.id, addresses: [impostor.daemon.mesh] }, {
      method: "POST",
      path: "/ark/v1/infer",
      body: QUESTION,
      deadlineMs: 5_000,
    }),
    { code: "unavailable" },
  );
  const response = await a.chat({ model: MODEL });
  assert.equal(response.status, 404);
  await response.body?.cancel();
  assert.equal(impostor.workerLog(), "");
});

Deno.test("An unsigned request and a replayed one are refused, and the worker saw the first one only", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  const peer = generateIdentity();
  await b.approve(keyOf(peer));
  const to = b.daemon.id;
  const unsigned = await sendRaw(b.daemon.mesh, rawRequest(QUESTION, { to, signer: null }));
  assert.equal(unsigned.status, 401);
  assert.equal(b.workerLog(), "");

  // The node has just started, so it asks for a nonce of its own.
  const first = await sendRaw(b.daemon.mesh, rawRequest(QUESTION, { to, signer: peer }));
  assert.equal(first.status, 401);
  assert.notEqual(first.nonce, null);
  assert.equal(b.workerLog(), "");

  const request = rawRequest(QUESTION, { to, signer: peer, nonce: first.nonce });
  assert.equal((await sendRaw(b.daemon.mesh, request)).status, 200);
  const runs = () => b.workerLog().split("\n").filter((line) => line.includes('"type":"generate"')).length;
  assert.equal(runs(), 1);
  const replayed = await sendRaw(b.daemon.mesh, request);
  assert.equal(replayed.status, 401);
  assert.match(replayed.text, /ark_replay/);
  const forAnother = rawRequest(QUESTION, { to: generateIdentity().id, signer: peer, nonce: first.nonce });
  assert.equal((await sendRaw(b.daemon.mesh, forAnother)).status, 401);
  const tampered = rawRequest(QUESTION, { to, signer: peer, nonce: first.nonce }).replace("one two", "two one");
  assert.notEqual((await sendRaw(b.daemon.mesh, tampered)).status, 200);
  assert.equal(runs(), 1);
});
