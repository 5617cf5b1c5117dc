import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { decodeApproval, Gate, Usage } from "@ark/node/peers";
import { openStore, type Store } from "@ark/node/store";
import { withDirectory } from "../support/temporary.ts";

const HOUR = 3_600_000;
const QUIET = { warn() {} };

async function rows(store: Store) {
  return await store.selectFrom("peer_usage").selectAll().execute();
}

function dave(perDay: number) {
  const permissions = { can_request_inference: true, models_shared: ["*"], max_tokens_per_day: perDay };
  return decodeApproval({ node_id: generateIdentity().id, permissions }, new Date().toISOString());
}

Deno.test("Usage keeps the tokens of a day over restarts, also after a kill without an end", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/node.db`;
    const peer = dave(1_000);
    const book = new Map([[peer.node_id, peer]]);
    const spend = (usage: Usage, tokens: number) => {
      using lease = new Gate(book, usage).admit(peer.node_id, "infer", { model: "a:1b", promptTokens: tokens });
      lease.charge.settle("broken_off");
    };
    {
      await using store = await openStore(path);
      const usage = await Usage.open({ store, logger: QUIET });
      spend(usage, 400);
      await usage.flush();
      // No disposal: the process was killed.
    }
    {
      await using store = await openStore(path);
      await using usage = await Usage.open({ store, logger: QUIET });
      assert.equal(usage.of(peer.node_id).tokens, 400);
      spend(usage, 590);
    }
    await using store = await openStore(path);
    await using usage = await Usage.open({ store, logger: QUIET });
    assert.equal(usage.of(peer.node_id).tokens, 990);
    spend(usage, 5);
    assert.throws(() => spend(usage, 5), { code: "busy", message: /used up .* in 2[45] hours$/ });
  }));

Deno.test("Usage counts the time that a node was off, and a clock that was set back as no time", async () => {
  await using store = await openStore(":memory:");
  const { node_id } = dave(1);
  const save = (savedAt: number) =>
    store.batch((database) =>
      database.run(
        "INSERT OR REPLACE INTO peer_usage VALUES (?, ?, ?)",
        node_id,
        savedAt,
        '[{"age_ms":3600000,"tokens":7}]',
      )
    );
  const tokens = async () => (await Usage.open({ store, logger: QUIET })).of(node_id).tokens;
  await save(Date.now() - 22 * HOUR);
  assert.equal(await tokens(), 7);
  await save(Date.now() - 23 * HOUR - 1_000_000);
  assert.equal(await tokens(), 0);
  await save(Date.now() + 1_000 * HOUR);
  assert.equal(await tokens(), 7);
});

Deno.test("Usage leaves out a row that makes no sense, and removes what is a day old", async () => {
  await using store = await openStore(":memory:");
  const [a, b, c] = [dave(1).node_id, dave(1).node_id, dave(1).node_id];
  const slots = [
    "no JSON",
    '{"age_ms":1}',
    '[null,{"age_ms":-1,"tokens":5},{"age_ms":0,"tokens":1e99},{"age_ms":9,"tokens":3}]',
  ];
  await store.batch((database) => {
    for (const [index, id] of [a, b, c].entries()) {
      database.run("INSERT INTO peer_usage VALUES (?, ?, ?)", id, Date.now(), slots[index] ?? "");
    }
  });
  let now = 0;
  const usage = await Usage.open({ store, logger: QUIET, now: () => now });
  assert.deepEqual([a, b, c].map((id) => usage.of(id).tokens), [0, 0, 3]);
  await usage.flush();
  assert.deepEqual((await rows(store)).map(({ node_id }) => node_id), [c]);
  now += 25 * HOUR;
  await usage.flush();
  assert.deepEqual(await rows(store), []);
});

Deno.test("Usage writes nothing while nothing changes, and says once that it cannot write", async () => {
  const warnings: unknown[] = [];
  const peer = dave(100);
  const gate = (usage: Usage) => new Gate(new Map([[peer.node_id, peer]]), usage);
  const store = await openStore(":memory:");
  const usage = await Usage.open({ store, logger: { warn: (...said) => void warnings.push(said) } });
  gate(usage).admit(peer.node_id, "infer", { model: "a", promptTokens: 10 }).charge.settle("broken_off");
  await usage.flush();
  const [before] = await rows(store);
  await usage.flush();
  assert.deepEqual(await rows(store), [before]);
  await store[Symbol.asyncDispose]();
  gate(usage).admit(peer.node_id, "infer", { model: "a", promptTokens: 10 }).charge.settle("broken_off");
  await usage.flush();
  await usage.flush();
  assert.equal(warnings.length, 1);
});

Deno.test("Usage.inherit() lets a peer's new key go on with what its old one used up, also after a restart", async () => {
  await using store = await openStore(":memory:");
  const peer = dave(1_000);
  const next = { ...peer, node_id: generateIdentity().id };
  const book = new Map([peer, next].map((one) => [one.node_id, one]));
  {
    await using usage = await Usage.open({ store, logger: QUIET });
    {
      using lease = new Gate(book, usage).admit(peer.node_id, "infer", { model: "a:1b", promptTokens: 900 });
      lease.charge.settle("broken_off");
    }
    usage.inherit(peer.node_id, next.node_id);
    assert.equal(usage.of(next.node_id).tokens, 900);
  }
  await using usage = await Usage.open({ store, logger: QUIET });
  assert.equal(usage.of(next.node_id).tokens, 900);
});
