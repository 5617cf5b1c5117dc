import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { proveInvitation } from "@ark/node/peers";
import { parseInvitation } from "@ark/node/protocol";
import { MeshClient } from "@ark/node/transport";
import { act, begin, pairingAt } from "./meeting.ts";
import { until } from "../inference/local_fixture.ts";
import { auditOf, FIXTURES, MODEL, TestNode } from "./test_node.ts";

interface Made {
  id: string;
  link: string;
}

async function invite(node: TestNode, body: Record<string, unknown> = {}): Promise<Made> {
  const made = await node.admin<Made>("/invites", { preset: "ask", models: [MODEL], ...body });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  return made.body;
}

async function listed(node: TestNode): Promise<Record<string, unknown>[]> {
  return (await node.admin<{ invitations: Record<string, unknown>[] }>("/invites")).body.invitations;
}

Deno.test("An invitation lets one node far away in, marked as not verified until the words are compared", async () => {
  await using b = await TestNode.start({ name: "Bea's Ark", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "Mom's Ark" });
  const { link, id } = await invite(b);
  assert.match(link, /^ark:1:[a-z2-7]{56}:127\.0\.0\.1:\d+:[A-Za-z0-9_-]{22}$/);
  const accepted = await a.admin("/invites/accept", { link });
  assert.equal(accepted.status, 200, JSON.stringify(accepted.body));
  assert.match(String(accepted.body.summary), /^Bea's Ark may not use anything here/);
  const [entry] = b.daemon.book.list();
  assert.deepEqual([entry?.name, entry?.verified, entry?.permissions.models_shared], ["Mom's Ark", false, [MODEL]]);
  const lives = Date.parse(entry?.expires_at ?? "") - Date.now();
  assert.ok(lives > 29 * 86_400_000 && lives <= 30 * 86_400_000);
  const [seen] = await listed(b);
  assert.deepEqual([seen?.id, seen?.state, seen?.name, seen?.verified], [id, "accepted", "Mom's Ark", false]);
  await a.reaches(MODEL);
  const answer = await a.chat({ model: MODEL, max_tokens: 2 });
  assert.equal((await answer.json()).choices[0].message.content, "w0 w1");

  // Later, face to face: the words are compared, and what was allowed is kept.
  const mine = await begin(a, { node_id: b.daemon.id });
  const theirs = await pairingAt(b);
  for (const [node, session] of [[a, mine.session], [b, theirs.session]] as const) {
    await act(node, session, { what: "match" });
  }
  for (const [node, session] of [[a, mine.session], [b, theirs.session]] as const) {
    await pairingAt(node, ({ phase }) => phase === "choosing");
    await act(node, session, { what: "approve", body: { keep: true } });
    assert.equal(node.daemon.book.list()[0]?.verified, undefined);
  }
  assert.deepEqual((await listed(b)).map(({ verified }) => verified), [true]);
  assert.deepEqual(b.daemon.book.list()[0]?.permissions, entry?.permissions);
  assert.equal(b.daemon.book.list()[0]?.expires_at, entry?.expires_at);
  assert.ok(
    auditOf(b).some(({ kind, direction, outcome }) => kind === "pair" && direction === "in" && outcome === "ok"),
  );
});

Deno.test("An invitation that twenty nodes accept at the same instant lets exactly one in", async () => {
  await using b = await TestNode.start({ name: "B" });
  const { link } = await invite(b);
  const invitation = parseInvitation(link);
  const to = { id: b.daemon.id, addresses: [b.daemon.mesh] };
  // From one address only eight strangers get a connection at a time: these are of a household and know each other.
  const guests = Array.from({ length: 20 }, () => generateIdentity());
  await Promise.all(
    guests.map(({ publicKey }) =>
      b.approve({ publicKey: `ed25519:${publicKey.toBase64()}` }, { can_request_inference: false, models_shared: [] })
    ),
  );
  const clients = guests.map((identity) => ({ identity, client: new MeshClient({ identity }) }));
  // Every connection is open and has its nonce before the race begins.
  for (const { client } of clients) {
    await say(client, { invitation: "00".repeat(32), proof: "00".repeat(64), name: "x" });
  }
  const statuses = await Promise.all(
    clients.map(({ client, identity }) => say(client, { ...proveInvitation(invitation, identity.id), name: "Guest" })),
  );
  assert.deepEqual(statuses.toSorted(), [200, ...Array.from({ length: 19 }, () => 403)]);
  const winner = guests[statuses.indexOf(200)];
  const shared = b.daemon.book.list().filter(({ permissions }) => permissions.can_request_inference);
  assert.deepEqual(shared.map(({ node_id }) => node_id), [winner?.id]);
  await Promise.all(clients.map(({ client }) => client[Symbol.asyncDispose]()));

  async function say(client: MeshClient, body: unknown): Promise<number> {
    const response = await client.request(to, {
      method: "POST",
      path: "/ark/v1/invite",
      body: JSON.stringify(body),
      deadlineMs: 60_000,
    });
    await new Response(response.body).text();
    return response.status;
  }
});

Deno.test("An invitation survives a restart, is accepted once, and its secret is not on the disk", async () => {
  const data = await Deno.makeTempDir({ prefix: "ark-invite-" });
  try {
    let link: string;
    let port: number;
    {
      await using b = await TestNode.start({ name: "B", data });
      ({ link } = await invite(b));
      port = b.daemon.mesh.port;
    }
    const { secret } = parseInvitation(link);
    for await (const { name, isFile } of Deno.readDir(data)) {
      if (!isFile) continue;
      const bytes = await Deno.readFile(`${data}/${name}`);
      assert.ok(!bytes.toHex().includes(secret.toHex()), name);
      assert.ok(!new TextDecoder("latin1").decode(bytes).includes(link.slice(-22)), name);
    }
    await using b = await TestNode.start({ name: "B", data });
    await using a = await TestNode.start({ name: "A" });
    await using c = await TestNode.start({ name: "C" });
    const moved = link.replace(`:${port}:`, `:${b.daemon.mesh.port}:`);
    assert.equal((await a.admin("/invites/accept", { link: moved })).status, 200);
    const late = await c.admin("/invites/accept", { link: moved });
    assert.equal(late.status, 403);
    assert.match(JSON.stringify(late.body), /was used before, was taken back, or its time is over: ask for a new one/);
    assert.deepEqual(b.daemon.book.list().map(({ node_id }) => node_id), [a.daemon.id]);
    assert.deepEqual(c.daemon.book.list(), [], "Who is not let in approves nobody");
    // Whoever was let in may ask again, since the answer may have been lost; after a revocation that opens nothing.
    assert.equal((await a.admin("/invites/accept", { link: moved })).status, 200);
    await b.admin("/peers/revoke", { node_id: a.daemon.id });
    assert.equal((await a.admin("/invites/accept", { link: moved })).status, 403);
    assert.deepEqual(b.daemon.book.list(), []);
    await until(() => auditOf(b).some(({ kind, peer }) => kind === "deny" && peer === c.daemon.id));
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("An invitation that was taken back, or is of another node, or of this one, lets nobody in", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  const { link, id } = await invite(b);
  assert.equal((await b.admin("/invites/revoke", { id })).status, 200);
  assert.equal((await b.admin("/invites/revoke", { id })).status, 400);
  assert.equal((await a.admin("/invites/accept", { link })).status, 403);
  assert.equal((await b.admin("/invites/accept", { link })).status, 400);
  await using c = await TestNode.start({ name: "C" });
  const { link: other } = await invite(c);
  const wrong = other.replace(`:${c.daemon.mesh.port}:`, `:${b.daemon.mesh.port}:`);
  // The link leads to another node, which does not hold the key of the one that invites.
  assert.equal((await a.admin("/invites/accept", { link: wrong })).status, 503);
  for (
    const [body, sentence] of [
      [{ link: "ark:1:x" }, /no invitation/],
      [{ link: other, preset: "king" }, /Field preset/],
      [{}, /Field link/],
    ] as const
  ) {
    const answer = await b.admin("/invites/accept", body);
    assert.equal(answer.status, 400);
    assert.match(JSON.stringify(answer.body), sentence);
  }
  for (const body of [{ preset: "ask" }, { preset: "ask", models: ["x"], life_ms: 1 }, { preset: "none", at: ["x"] }]) {
    assert.equal((await b.admin("/invites", body)).status, 400, JSON.stringify(body));
  }
  assert.deepEqual([...a.daemon.book.list(), ...b.daemon.book.list()], []);
});

Deno.test("A node that was let in by an invitation is paused when the words differ", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "A" });
  const { link } = await invite(b);
  assert.equal((await a.admin("/invites/accept", { link })).status, 200);
  await a.reaches(MODEL);
  await begin(a, { node_id: b.daemon.id });
  const theirs = await pairingAt(b);
  const ended = await act(b, theirs.session, { what: "different" });
  assert.match(String(ended.sentence), /It was approved before and is paused now/);
  assert.deepEqual(b.daemon.book.list().map(({ paused }) => paused), [true]);
  const answer = await a.chat({ model: MODEL, max_tokens: 1 });
  assert.notEqual(answer.status, 200);
  await answer.body?.cancel();
  assert.equal(b.workerLog(), "");
});
