/** What a peer may use, on whole nodes. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { MeshPeer, question } from "./mesh_peer.ts";
import { auditOf, FIXTURES, MODEL, Pair, TestNode } from "./test_node.ts";

/** What the worker was asked to do, in order. */
function generations(node: TestNode): { parameters: { max_tokens?: number } }[] {
  return node.workerLog().split("\n").filter((line) => line.includes('"type":"generate"')).map((line) =>
    JSON.parse(line)
  );
}

Deno.test("A peer's answers are as long as its approval says, and its tokens of the day last over a restart", async () => {
  const data = await Deno.makeTempDir({ prefix: "ark-test-" });
  const start = () => TestNode.start({ name: "B", models: [FIXTURES], data });
  const permissions = { max_tokens_per_request: 20, max_tokens_per_day: 60 };
  let peer: MeshPeer;
  {
    await using b = await start();
    peer = new MeshPeer(b.daemon.id, b.daemon.mesh);
    await b.approve(peer, permissions);
    assert.equal((await peer.ask(question(MODEL, "one two", { max_tokens: 1_000 }))).status, 200);
    assert.equal((await peer.ask(question(MODEL, "one two"))).status, 200);
    // 2 + 20 twice: 16 are left, 2 of them for the guess of the prompt.
    assert.equal((await peer.ask(question(MODEL, "one two"))).status, 200);
    assert.deepEqual(generations(b).map(({ parameters }) => parameters.max_tokens), [20, 20, 14]);
    const refused = await peer.ask(question(MODEL, "one two"));
    assert.deepEqual([refused.status, refused.code], [429, "ark_busy"]);
    assert.match(
      refused.message ?? "",
      /^Your 60 tokens of 24 hours are used up at this node; ask again in 2\d hours$/,
    );
    assert.ok((refused.retryAfter ?? 0) > 23 * 3_600);
    assert.equal(generations(b).length, 3);
    await until(() => auditOf(b).some(({ kind, outcome }) => kind === "deny" && outcome === "busy"));
  }
  await using _client = peer;
  {
    await using b = await start();
    await using same = new MeshPeer(b.daemon.id, b.daemon.mesh, peer.identity);
    assert.equal((await same.ask(question(MODEL, "one two"))).code, "ark_busy");
    await using other = new MeshPeer(b.daemon.id, b.daemon.mesh);
    await b.approve(other, permissions);
    assert.equal((await other.ask(question(MODEL, "one two"))).status, 200, "Another key has its own");
    const { body } = await b.admin<{ here: { reason: string } }>(
      `/peers/why?${new URLSearchParams({ peer: peer.publicKey, model: MODEL })}`,
    );
    assert.equal(body.here.reason, "tokens");
  }
  await Deno.remove(data, { recursive: true });
});

Deno.test("A peer that asks too often is told when the next is taken, and a refusal counts for nothing", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using peer = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await b.approve(peer, { max_requests_per_minute: 3 });
  const ask = () => peer.ask(question(MODEL, "one", { max_tokens: 1 }));
  assert.equal((await peer.ask(question("no-such-model", "one"))).code, "ark_model_not_found");
  assert.deepEqual([(await ask()).status, (await ask()).status], [200, 200]);
  const refused = await ask();
  assert.match(refused.message ?? "", /^This node takes 3 of your requests in a minute; ask again in \d+ seconds$/);
  assert.deepEqual([refused.status, refused.code], [429, "ark_busy"]);
  assert.ok((refused.retryAfter ?? 0) >= 1 && (refused.retryAfter ?? 0) <= 60);
  assert.equal(generations(b).length, 2);
});

Deno.test("T53: Asking and leaving, again and again, uses up the tokens of the day, and the engine is idle afterwards", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using peer = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await b.approve(peer, { max_tokens_per_day: 4_000, max_concurrent_requests: 4 });
  const prompt = `#slow=1 ${"word ".repeat(99)}`;
  let refused = "";
  let admitted = 0;
  while (refused === "" && admitted < 200) {
    const gone = new AbortController();
    const response = await peer.open(question(MODEL, prompt), gone.signal);
    if (response.status === 200) {
      admitted++;
      gone.abort();
      await response.body.cancel().catch(() => {});
    } else {
      const { error } = await new Response(response.body as ReadableStream).json();
      assert.equal(error.code, "ark_busy");
      // That it has to wait between them is the other half of the defence.
      if (/used up/.test(error.message)) refused = error.message;
      else assert.match(error.message, /You broke off|of your requests at a time|Your running answers/);
    }
  }
  assert.match(refused, /^Your 4,000 tokens of 24 hours are used up/);
  assert.ok(admitted >= 10 && admitted <= 40, `${admitted} prompts of 100 tokens`);
  await until(() => b.daemon.engine?.backend.busy === 0 && b.daemon.engine.backend.queued === 0);
  const ends = auditOf(b).filter(({ kind }) => kind === "end");
  assert.ok(ends.every(({ outcome }) => outcome === "cancelled" || outcome === "ok"));
});

Deno.test("Whoever is paused is cut at once, told why, asked nothing, and takes up where it was when that is over", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const response = await a.chat({
    model: MODEL,
    stream: true,
    max_tokens: 2_000,
    messages: [{ role: "user", content: "#slow=10" }],
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  await reader?.read();
  const paused = await b.admin<{ peer: { paused: boolean } }>("/peers/pause", { public_key: a.publicKey });
  assert.deepEqual([paused.status, paused.body.peer.paused], [200, true]);
  let rest = "";
  for (let step = await reader?.read(); step && !step.done; step = await reader?.read()) rest += step.value;
  assert.match(rest, /"error"/);
  await until(() => b.daemon.engine?.backend.busy === 0);
  const before = generations(b).length;

  // The other side learns it, and its router does not even try.
  await until(async () => {
    const { body } = await a.admin<{ peers: { state: string; reason: string }[] }>("/peers/status");
    return body.peers[0]?.state === "draining" &&
      body.peers[0].reason.includes("has paused you");
  });
  const refused = await a.chat({ model: MODEL });
  assert.equal(refused.status, 404);
  await refused.body?.cancel();
  assert.equal(generations(b).length, before);
  const { body: status } = await b.admin<{ peers: { state: string }[] }>("/peers/status");
  assert.equal(status.peers[0]?.state, "paused");
  const why = await b.admin<{ sentence: string }>(`/peers/why?${new URLSearchParams({ peer: "A", model: MODEL })}`);
  const because = "because you paused it";
  assert.equal(
    why.body.sentence,
    `A cannot ask ${MODEL} here, ${because}, and you cannot ask ${MODEL} there, ${because}.`,
  );

  assert.equal((await b.admin("/peers/resume", { public_key: a.publicKey })).status, 200);
  await a.reaches(MODEL);
  const again = await a.chat({ model: MODEL, max_tokens: 1 });
  assert.equal(again.status, 200);
  await again.body?.cancel();
  const { status: unknown } = await b.admin("/peers/pause", { public_key: b.publicKey });
  assert.equal(unknown, 400);
});

Deno.test("GET /peers/why explains each of two real nodes to the other", async () => {
  await using pair = await Pair.start({ permissions: { models_shared: ["arkling*"] } });
  const { a, b } = pair;
  const why = async (node: TestNode, peer: string, model: string) =>
    (await node.admin<{ sentence: string; here: { reason: string }; there: { reason: string } }>(
      `/peers/why?${new URLSearchParams({ peer, model })}`,
    )).body;
  assert.equal(
    (await why(a, "B", MODEL)).sentence,
    `B cannot ask ${MODEL} here, because there is no such model on this node, but you can ask ${MODEL} there.`,
  );
  // B has been asked by A, and asks A in turn.
  await until(async () => (await why(b, "A", "llama3.1:8b")).there.reason !== "unseen");
  const other = await why(b, "A", "llama3.1:8b");
  assert.deepEqual([other.here.reason, other.there.reason], ["model_not_shared", "not_offered"]);
  assert.equal((await why(b, a.publicKey, MODEL)).here.reason, "ok");
  await b.admin("/peers/revoke", { public_key: a.publicKey });
  assert.deepEqual([(await why(b, a.publicKey, MODEL)).here.reason], ["revoked"]);
  await until(async () => (await why(a, "B", MODEL)).there.reason === "revoked");
  const nobody = await b.admin<{ error: { message: string } }>("/peers/why?peer=dave&model=x");
  assert.equal(nobody.status, 400);
  assert.match(nobody.body.error.message, /^Cannot tell which peer is meant/);
  assert.equal((await b.admin(`/peers/why?peer=${a.daemon.id}`)).status, 400);
});
