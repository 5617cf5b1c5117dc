import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { until } from "../inference/local_fixture.ts";
import { act, begin, pairingAt, pairingsAt } from "./meeting.ts";
import { auditOf, FIXTURES, MODEL, TestNode } from "./test_node.ts";

Deno.test("Two nodes pair by words: both screens show the same, both owners decide, and one answers the other", async () => {
  await using b = await TestNode.start({ name: "Bea's Ark", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "Al's Ark" });
  const mine = await begin(a, { address: b.mesh });
  const theirs = await pairingAt(b);
  assert.deepEqual([mine.phase, theirs.phase, theirs.direction], ["comparing", "comparing", "in"]);
  assert.equal(mine.words?.length, 4);
  assert.deepEqual(theirs.words, mine.words);
  assert.deepEqual(theirs.numbers, mine.numbers);
  assert.deepEqual([mine.name, theirs.name], [null, null], "No name is told before both owners said match");

  // Nobody is approved by the words alone, and not before both owners have compared them.
  await act(a, mine.session, { what: "match" });
  const early = await a.admin(`/peers/pair/${mine.session}/approve`, { preset: "none" });
  assert.equal(early.status, 400);
  assert.match(JSON.stringify(early.body), /other owner has not said yet/);
  assert.match(
    (await pairingAt(b, ({ theirs }) => theirs === "matched")).sentence,
    /other owner says that the words match/,
  );
  assert.deepEqual([a.daemon.book.list(), b.daemon.book.list()], [[], []]);
  await act(b, theirs.session, { what: "match" });
  await pairingAt(a, ({ phase, name }) => phase === "choosing" && name === "Bea's Ark");

  const approved = await act(b, theirs.session, { what: "approve", body: { preset: "ask", models: [MODEL] } });
  assert.match(
    String(approved.summary),
    /^Al's Ark may ask arkling:9m-q4_0, one question at a time, until \d+ \w+( \d{4})?\. It cannot download models\.$/,
  );
  assert.match(
    (await pairingAt(a, ({ theirs }) => theirs === "approved")).sentence,
    /^Approved by Bea's Ark, waiting for you/,
  );
  await act(a, mine.session, { what: "approve", body: { preset: "none" } });
  assert.equal((await pairingAt(b, ({ phase }) => phase === "connected")).sentence, "Connected with Al's Ark.");
  assert.equal((await pairingAt(a)).phase, "connected");

  await a.reaches(MODEL);
  const answer = await a.chat({ model: MODEL, max_tokens: 3 });
  assert.equal((await answer.json()).choices[0].message.content, "w0 w1 w2");
  const asked = await b.chat({ model: "nothing", max_tokens: 1 });
  assert.equal(asked.status, 404);
  await asked.body?.cancel();
  for (const node of [a, b]) {
    await until(() => auditOf(node).some(({ kind, outcome }) => kind === "pair" && outcome === "ok"));
    assert.deepEqual(node.daemon.book.list().map(({ verified }) => verified), [undefined]);
  }
});

Deno.test("A node that was paired by its address is found again after a restart, without discovery", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  const data = await Deno.makeTempDir({ prefix: "ark-pair-" });
  try {
    {
      await using a = await TestNode.start({ name: "A", data });
      const mine = await begin(a, { address: b.mesh });
      const theirs = await pairingAt(b);
      await act(a, mine.session, { what: "match" });
      await act(b, theirs.session, { what: "match" });
      for (const [node, session] of [[a, mine.session], [b, theirs.session]] as const) {
        await pairingAt(node, ({ phase }) => phase === "choosing");
        await act(node, session, { what: "approve", body: { preset: "full" } });
      }
    }
    await using a = await TestNode.start({ name: "A", data });
    await a.reaches(MODEL);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("Different words block the key for a day at whoever said so, the other owner learns it, and it can be undone", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  const mine = await begin(a, { address: b.mesh });
  const theirs = await pairingAt(b);
  await act(b, theirs.session, { what: "different" });
  const told = await pairingAt(a, ({ phase }) => phase === "different");
  assert.match(told.sentence, /other owner says that the words differ: someone may be in between/);
  const late = await a.admin(`/peers/pair/${mine.session}/approve`, { preset: "full" });
  assert.equal(late.status, 400);

  const again = await a.admin("/peers/pair", { address: b.mesh });
  assert.equal(again.status, 429, "The blocked key is not taken");
  const back = await b.admin("/peers/pair", { address: a.mesh });
  assert.equal(back.status, 403);
  assert.match(JSON.stringify(back.body), /words differ.*unignore/);
  const { body } = await b.admin<{ ignored: { why: string; until: string }[] }>("/peers/pending");
  assert.equal(body.ignored[0]?.why, "different");
  const left = Date.parse(body.ignored[0]?.until ?? "") - Date.now();
  assert.ok(left > 23 * 3_600_000 && left <= 24 * 3_600_000);
  assert.equal((await b.admin("/peers/unignore", { node_id: a.daemon.id })).status, 200);
  assert.equal((await begin(a, { address: b.mesh })).phase, "comparing");
  await until(() => auditOf(b).some(({ kind, outcome }) => kind === "pair" && outcome === "forbidden"));
});

Deno.test("R18: A cancel on either side clears both", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  for (const canceller of ["out", "in"]) {
    const mine = await begin(a, { address: b.mesh });
    const theirs = await pairingAt(b, ({ phase }) => phase === "comparing");
    const began = performance.now();
    await act(canceller === "out" ? a : b, canceller === "out" ? mine.session : theirs.session, { what: "cancel" });
    const other = await pairingAt(canceller === "out" ? b : a, ({ phase }) => phase === "cancelled");
    // deno-lint-ignore no-console
    console.log(`Cleared after ${Math.round(performance.now() - began)} ms`);
    assert.match(other.sentence, /The other owner cancelled it/);
    assert.ok((await pairingsAt(a)).every(({ phase }) => phase === "cancelled"));
  }
  assert.deepEqual([...a.daemon.book.list(), ...b.daemon.book.list()], []);
});

Deno.test("Where both owners begin at the same instant, both see one pairing with the same words", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  const [one, two] = await Promise.all([begin(a, { address: b.mesh }), begin(b, { address: a.mesh })]);
  assert.deepEqual(one.words, two.words);
  assert.deepEqual([one.direction, two.direction].sort(), ["in", "out"]);
});

Deno.test("A second pairing of the same key does not replace the words that an owner sees", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  const first = await begin(a, { address: b.mesh });
  const again = await begin(a, { address: b.mesh });
  assert.equal(again.session, first.session);
  assert.deepEqual((await pairingAt(b)).words, first.words);
  assert.equal((await pairingsAt(b)).length, 1);
});

Deno.test("GET /peers/pair/events tells of each change as it happens, and ends when the node stops", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  const token = (await Deno.readTextFile(`${b.data}/admin.token`)).trim();
  const response = await fetch(`${b.api}/peers/pair/events`, { headers: { authorization: `Bearer ${token}` } });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader !== undefined);
  assert.equal((await reader.read()).value, 'data: {"pairings":[]}\n\n');
  await begin(a, { address: b.mesh });
  assert.match((await reader.read()).value ?? "", /"phase":"comparing"/);
  await b.daemon.drain(60_000);
  let step = await reader.read();
  while (!step.done) step = await reader.read();
});

Deno.test("Begin says in one sentence why it cannot: nobody there, this node itself, no address", async () => {
  await using a = await TestNode.start({ name: "A" });
  for (
    const [target, status, sentence] of [
      [{ address: "127.0.0.1:1" }, 503, /cannot be reached/],
      [{ address: a.mesh }, 400, /this node itself/],
      [{ address: "http://x" }, 400, /leave out/],
      [{ node_id: a.daemon.id.replace(/^./, (one) => one === "a" ? "b" : "a") }, 400, /mistyped/],
      [{}, 400, /Name the node/],
    ] as const
  ) {
    const answer = await a.admin("/peers/pair", target);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.match(JSON.stringify(answer.body), sentence);
  }
});

Deno.test("T42: A node whose name looks like that of an approved peer is shown with a warning", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "D\u0430ve's \u0410rk" });
  await b.approve({ publicKey: `ed25519:${generateIdentity().publicKey.toBase64()}`, name: "Dave's Ark" });
  const mine = await begin(a, { address: b.mesh });
  const theirs = await pairingAt(b);
  await act(b, theirs.session, { what: "match" });
  await act(a, mine.session, { what: "match" });
  const named = await pairingAt(b, ({ name }) => name !== null);
  assert.deepEqual([named.name, named.looks_like], ["D\u0430ve's \u0410rk", "Dave's Ark"]);
});
