/** Planted: everything that goes wrong between a node and its approved peers. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, Pair, TestNode } from "../mesh/test_node.ts";
import { withDirectory } from "../support/temporary.ts";
import { faults, fine, look, untilFault } from "./looking.ts";

const PEER_CHECKS = ["peer-reach", "peer-approval", "peer-key", "shared-models", "inbound", "identity"];

Deno.test("Two nodes that approved each other are in order, on both sides", async () => {
  await using pair = await Pair.start({ permissions: { models_shared: [MODEL] } });
  for (const node of [pair.a, pair.b]) {
    const linked = async () => (await look(node)).some(({ check, level }) => check === "peer-links" && level === "ok");
    await until(linked);
    const found = await look(node);
    for (const check of PEER_CHECKS) fine(found, check, { said: false });
    fine(found, "peer-links");
    fine(found, "clock");
  }
});

Deno.test("Fault 5: a peer was approved and has not approved this node: the doctor gives the command for its owner", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A", peers: [b.mesh] });
  await a.approve({ publicKey: b.publicKey, name: "B" });
  const { level, sentence, fix } = await untilFault(() => look(a), "peer-approval");
  assert.deepEqual([level, sentence], ["warning", "You approved B, and its owner has not approved this node"]);
  assert.match(fix, /^Ask its owner to run: ark-node peers approve [a-z2-7]{8}(-[a-z2-7]{8}){6}/);
  const [, id = ""] = /approve (\S+)$/.exec(fix) ?? [];
  assert.equal(id.replaceAll("-", ""), a.daemon.id, "The very id of this node");
});

Deno.test("Fault 6: an approved peer does not run, or was never seen", async () => {
  await using a = await TestNode.start({ name: "A" });
  const b = await TestNode.start({ name: "B", peers: [a.mesh] });
  {
    await using _ends = b;
    await a.approve({ publicKey: b.publicKey, name: "B" });
    await b.approve({ publicKey: a.publicKey, name: "A" });
    await until(async () => (await look(a)).some(({ check }) => check === "peer-links"));
  }
  const { level, sentence, why, fix } = await untilFault(() => look(a), "peer-reach");
  assert.deepEqual([level, sentence], [
    "warning",
    "B cannot be reached: its machine is there, and no node listens",
  ]);
  assert.match(why ?? "", /^127\.0\.0\.1:\d+ refused the connection$/);
  assert.match(fix, /^Start ark-node there/);

  await using c = await TestNode.start({ name: "C" });
  await c.approve({ publicKey: b.publicKey, name: "x; rm -rf ~" });
  const unseen = await untilFault(() => look(c), "peer-reach");
  assert.match(unseen.sentence, /was never seen$/);
  assert.match(unseen.fix, /--peer HOST:8911$/);
  assert.ok(!unseen.fix.includes("rm -rf"), "A label is not put into a command");
});

Deno.test("Fault 7: a peer was set up anew, so another key answers where it was", () =>
  withDirectory(async (parent) => {
    await using a = await TestNode.start({ name: "A" });
    let port = 0;
    {
      await using b = await TestNode.start({ name: "B", peers: [a.mesh], data: `${parent}/old` });
      port = b.daemon.mesh.port;
      await a.approve({ publicKey: b.publicKey, name: "B" });
      await b.approve({ publicKey: a.publicKey, name: "A" });
      await until(async () => (await look(a)).some(({ check }) => check === "peer-links"));
    }
    await using _new = await TestNode.start({
      name: "B",
      data: `${parent}/new`,
      flags: { "mesh-listen": `127.0.0.1:${port}` },
    });
    const { level, sentence, fix } = await untilFault(() => look(a), "peer-key");
    assert.equal(level, "warning");
    assert.match(sentence, /^Where B was, another key answers/);
    assert.match(
      fix,
      new RegExp(`ark-node peers pair 127\\.0\\.0\\.1:${port}, and then ark-node peers revoke [a-z2-7]{8}$`),
    );
  }));

Deno.test("Fault 8: a data directory was copied, so two nodes have one key", () =>
  withDirectory(async (parent) => {
    // A first start makes the key.
    await (await TestNode.start({ name: "A", data: `${parent}/one` }))[Symbol.asyncDispose]();
    await Deno.mkdir(`${parent}/two`, { mode: 0o700 });
    await Deno.copyFile(`${parent}/one/node.key`, `${parent}/two/node.key`);
    await using one = await TestNode.start({ name: "A", data: `${parent}/one` });
    await using two = await TestNode.start({ name: "A", data: `${parent}/two`, peers: [one.mesh] });
    const { level, sentence, fix } = await untilFault(() => look(two), "identity");
    assert.deepEqual([level, sentence], ["danger", `A node at ${one.mesh} has the same key as this one`]);
    assert.match(fix, /remove node\.key/);
    // One that only meets itself has no twin.
    const data = `${parent}/three`;
    const first = await TestNode.start({ name: "B", data });
    const { mesh } = first;
    await first[Symbol.asyncDispose]();
    await using alone = await TestNode.start({ name: "B", data, peers: [mesh], flags: { "mesh-listen": mesh } });
    await until(async () => (await look(alone)).some(({ check, level }) => check === "named-peers" && level === "ok"));
    fine(await look(alone), "identity", { said: false });
  }));

Deno.test("Fault 9: an approval has ended, and another one names a model that is not here", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A", models: [FIXTURES], peers: [b.mesh] });
  await b.approve({ publicKey: a.publicKey, name: "A" });
  await a.approve({ publicKey: b.publicKey, name: "B" }, { models_shared: ["llama9:*"] });
  const shared = await untilFault(() => look(a), "shared-models");
  assert.deepEqual([shared.level, shared.sentence], [
    "warning",
    "B may use llama9:*, and no model here is called so",
  ]);
  assert.equal(
    shared.fix,
    `Approve it again with names of 'ark-node models': ark-node peers approve B --models '${MODEL}'`,
  );
  // By hand, as an owner does who edits the file.
  const path = `${a.data}/approved_peers.json`;
  const text = await Deno.readTextFile(path);
  const book = JSON.parse(text);
  const [entry] = Array.isArray(book) ? book : book.peers;
  entry.expires_at = "2020-01-01T00:00:00Z";
  await Deno.writeTextFile(path, JSON.stringify(book));
  const ended = await untilFault(() => look(a), "expired-approval");
  assert.deepEqual([ended.level, ended.sentence], ["warning", "The approval of B ended on 2020-01-01"]);
  assert.match(ended.fix, /ark-node peers revoke B$/);
  assert.deepEqual(faults(await look(a), "shared-models"), []);
});

Deno.test("Fault 10: nobody answers where --peer says", async () => {
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const gone = `127.0.0.1:${free.addr.port}`;
  free.close();
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A", peers: [gone, b.mesh] });
  const { level, sentence, fix } = await untilFault(() => look(a), "named-peers");
  assert.deepEqual([level, sentence], ["warning", `No node answers at ${gone}, which --peer names`]);
  assert.match(fix, /Start ark-node there.*correct --peer$/);
  await using c = await TestNode.start({ name: "C", peers: [b.mesh] });
  fine(await look(c), "named-peers");
});
