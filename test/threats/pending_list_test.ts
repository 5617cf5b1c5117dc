import assert from "node:assert/strict";
import type { DiscoveredPeer } from "@ark/node/http";
import { loadIdentity, parseNodeId } from "@ark/node/identity";
import { auditOf, FIXTURES, MODEL, Pair, TestNode } from "../mesh/test_node.ts";
import { until } from "../inference/local_fixture.ts";
import { Stranger } from "./stranger.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const [KEYS, KNOCKS] = LONG ? [500, 10_000] : [60, 180];

async function pendingAt(node: TestNode): Promise<DiscoveredPeer[]> {
  return (await node.admin<{ pending: DiscoveredPeer[] }>("/peers/pending")).body.pending;
}

Deno.test(`T42: ${KNOCKS} knocks of ${KEYS} keys make no more than 32 entries, 3 of an address, and harm nobody`, async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const to = { id: b.daemon.id, address: b.daemon.mesh };
  const before = b.log.length;
  const strangers = Array.from({ length: KEYS }, () => new Stranger());
  const began = performance.now();
  const answers: number[] = [];
  let answered = 0;
  // Sixteen knocks from each address: what the limit of new connections lets through.
  for (let knock = 0; knock < KNOCKS; knock += 30) {
    const some = Array.from({ length: Math.min(30, KNOCKS - knock) }, (_, at) => {
      const source = (knock + at) % Math.ceil(KNOCKS / 16);
      const from = `127.1.${source >> 7}.${1 + (source & 127)}`;
      const stranger = strangers[(knock + at) % KEYS] ?? new Stranger();
      return stranger.knock(to, { target: `/ark/v1/offer?port=${10_000 + knock % 1_000}`, from });
    });
    answers.push(...await Promise.all(some));
    if (knock % 90 !== 0) continue;
    const response = await a.chat({ model: MODEL, max_tokens: 1 });
    if (response.status === 200) answered++;
    await response.body?.cancel();
  }
  const ms = performance.now() - began;
  // deno-lint-ignore no-console
  console.log(
    `${KNOCKS} knocks in ${Math.round(ms)} ms, ${(ms / KNOCKS).toFixed(1)} ms each, sender and receiver together`,
  );
  assert.equal(answered, Math.ceil(KNOCKS / 90), "The approved peer is answered all the while");
  assert.ok(answers.every((status) => status === 401 || status === 0));
  assert.ok(answers.filter((status) => status === 401).length > KNOCKS * 0.9, "The knocks arrived");
  const pending = await pendingAt(b);
  assert.ok(pending.length > 3 && pending.length <= 32, `${pending.length} are shown`);
  if (KEYS > 100) assert.equal(pending.length, 32);
  const perHost = Map.groupBy(pending, ({ addresses }) => addresses[0]?.replace(/:\d+$/, ""));
  assert.ok([...perHost.values()].every((some) => some.length <= 3));
  assert.equal(new Set(pending.map(({ node_id }) => node_id)).size, pending.length);
  // No storm: a line and a denial for what is new, and not for each knock.
  const found = b.log.slice(before).filter((line) => line.includes("A node proved its key"));
  assert.equal(found.length, pending.length);
  assert.ok(auditOf(b).filter(({ kind }) => kind === "deny").length <= 120);
  assert.ok(b.log.length - before < 300 + KNOCKS / 20, `${b.log.length - before} lines`);
});

Deno.test("T42: What the owner ignored or dismissed stays away, also after a restart, until he takes it back", async () => {
  const data = await Deno.makeTempDir({ prefix: "ark-ignored-" });
  const [ignored, dismissed, other] = [new Stranger(), new Stranger(), new Stranger()];
  const ids = (peers: DiscoveredPeer[]) => peers.map(({ node_id }) => parseNodeId(node_id)).sort();
  async function knockAll(node: TestNode): Promise<void> {
    const to = { id: node.daemon.id, address: node.daemon.mesh };
    for (const one of [ignored, dismissed, other]) await one.knock(to, { target: "/ark/v1/offer?port=9000" });
  }
  try {
    {
      await using node = await TestNode.start({ name: "N", data });
      await knockAll(node);
      assert.equal((await pendingAt(node)).length, 3);
      await node.admin("/peers/ignore", { node_id: ignored.identity.id });
      await node.admin("/peers/dismiss", { node_id: dismissed.identity.id });
      assert.deepEqual(ids(await pendingAt(node)), [other.identity.id]);
    }
    await using node = await TestNode.start({ name: "N", data });
    await knockAll(node);
    assert.deepEqual(ids(await pendingAt(node)), [other.identity.id]);
    const told = node.log.filter((line) => line.includes("proved its key") && line.includes(ignored.identity.id));
    assert.deepEqual(told, []);
    const { body } = await node.admin<{ ignored: { why: string }[] }>("/peers/pending");
    assert.deepEqual(body.ignored.map(({ why }) => why).sort(), ["dismissed", "ignored"]);
    await node.admin("/peers/unignore", { node_id: ignored.identity.id });
    // A listener tells of a key at most every five seconds: this one is new to it by another path.
    const call = { target: "/ark/v1/pair?port=9000", body: '{"type":"commit"}' };
    await ignored.call({ id: node.daemon.id, address: node.daemon.mesh }, call);
    await until(async () => {
      await ignored.knock({ id: node.daemon.id, address: node.daemon.mesh }, { target: "/ark/v1/offer?port=9000" });
      return ids(await pendingAt(node)).includes(ignored.identity.id);
    });
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("T42: Pairings that strangers begin are few, of each address and in all, and none of them blocks the owner", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  const to = { id: b.daemon.id, address: b.daemon.mesh };
  const statuses: number[] = [];
  for (let caller = 0; caller < 24; caller++) {
    const commit = { type: "commit", session: "00".repeat(16), commitment: "11".repeat(32) };
    const from = `127.2.0.${1 + Math.floor(caller / 6)}`;
    statuses.push(await new Stranger().call(to, { target: "/ark/v1/pair", body: JSON.stringify(commit), from }));
  }
  assert.ok(statuses.every((status) => status === 200 || status === 429 || status === 0), statuses.join());
  assert.ok(statuses.slice(0, 6).filter((status) => status === 200).length <= 3, "Three of one address");
  assert.ok(statuses.filter((status) => status === 200).length <= 8, "Eight in all");
  const { body } = await b.admin<{ pairings: unknown[] }>("/peers/pair");
  assert.deepEqual(body.pairings, [], "Who has revealed nothing is no card");
  const began = await b.admin<{ phase: string }>("/peers/pair", { address: a.mesh });
  assert.deepEqual([began.status, began.body.phase], [200, "comparing"]);
});

Deno.test("T45: A flood of made-up nodes gives nobody anything, and every list stays short", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  const to = { id: node.daemon.id, address: node.daemon.mesh };
  const count = LONG ? 2_000 : 100;
  for (let from = 0; from < count; from += 25) {
    await Promise.all(Array.from({ length: 25 }, (_, at) => {
      const source = `127.3.${(from + at) >> 7}.${1 + ((from + at) & 127)}`;
      return new Stranger().knock(to, { target: "/ark/v1/offer?port=9000", from: source });
    }));
  }
  const { body } = await node.admin<{ peers: DiscoveredPeer[] }>("/peers/discovered");
  assert.equal(body.peers.length, 32);
  assert.ok(body.peers.every(({ state }) => state === "pending"));
  assert.deepEqual(node.daemon.book.list(), []);
  assert.equal(node.workerLog(), "");
});

Deno.test("T47: Nothing that a peer says about a third node gives that node anything: there is no field and no path for it", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const third = new Stranger();
  const { id, publicKey } = third.identity;
  const key = `ed25519:${publicKey.toBase64()}`;
  const entry = { node_id: id, public_key: key, permissions: { can_request_inference: true, models_shared: ["*"] } };
  const session = "00".repeat(16);
  const words = [
    ["/ark/v1/pair", { type: "introduce", ...entry }],
    ["/ark/v1/pair", { type: "commit", session, commitment: "11".repeat(32), ...entry }],
    ["/ark/v1/pair", { type: "commit", session, commitment: "11".repeat(32), on_behalf_of: id }],
    ["/ark/v1/pair", { type: "state", session, state: "approved", node_id: id }],
    ["/ark/v1/invite", { invitation: "00".repeat(32), proof: "00".repeat(64), name: "C", node_id: id }],
    ["/ark/v1/invite", { invitation: "00".repeat(32), proof: "00".repeat(64), name: "C" }],
    ...["/ark/v1/peers", "/ark/v1/introduce", "/ark/v1/approve", "/ark/v1/gossip", "/peers/approve"].map((path) =>
      [path, entry] as const
    ),
  ] as const;
  // A is approved by B, and speaks for C in every way that there is.
  const speaker = await withKeyOf(a);
  for (const [path, body] of words) {
    const answer = await speaker.call({ id: b.daemon.id, address: b.daemon.mesh }, {
      target: path,
      body: JSON.stringify(body),
    });
    assert.ok(answer >= 400 && answer < 500, `${path} ${JSON.stringify(body)}: ${answer}`);
  }
  assert.equal(b.daemon.book.standing(id), "unknown");
  assert.deepEqual(b.daemon.book.list().map(({ node_id }) => node_id), [a.daemon.id]);
  assert.equal(await third.call({ id: b.daemon.id, address: b.daemon.mesh }, { target: "/ark/v1/offer" }), 401);
});

/** A caller with the very key of a node. */
async function withKeyOf(node: TestNode): Promise<Stranger> {
  return new Stranger(await loadIdentity(`${node.data}/node.key`));
}
