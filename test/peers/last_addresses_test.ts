import assert from "node:assert/strict";
import { generateIdentity, type NodeId } from "@ark/node/identity";
import { LastAddresses } from "@ark/node/peers";
import { openStore, type Store } from "@ark/node/store";

const BOB = generateIdentity().id;
const at = (hostname: string, port = 8911) => ({ hostname, port });
const logger = { debug() {} };

function open(store: Store, approved: (id: NodeId) => boolean = () => true): Promise<LastAddresses> {
  return LastAddresses.open({ store, approved, logger });
}

Deno.test("LastAddresses remembers where a peer answered, the latest first, across restarts", async () => {
  await using store = await openStore(":memory:");
  {
    await using last = await open(store);
    assert.deepEqual(last.of(BOB), []);
    last.note(BOB, at("10.0.0.2"));
    last.note(BOB, at("fd00::2", 9000));
    assert.deepEqual(last.of(BOB), [at("fd00::2", 9000), at("10.0.0.2")]);
    last.note(BOB, at("10.0.0.2"));
  }
  await using last = await open(store);
  assert.deepEqual(last.of(BOB), [at("10.0.0.2"), at("fd00::2", 9000)]);
});

Deno.test("LastAddresses remembers four addresses of a peer, and nothing of names and of strangers", async () => {
  await using store = await openStore(":memory:");
  const stranger = generateIdentity().id;
  {
    await using last = await open(store, (id) => id === BOB);
    for (let i = 1; i <= 9; i++) last.note(BOB, at(`10.0.0.${i}`));
    last.note(BOB, at("attic.local"));
    last.note(stranger, at("10.0.0.66"));
    assert.deepEqual(last.of(stranger), []);
  }
  await using last = await open(store);
  assert.deepEqual(last.of(BOB), [9, 8, 7, 6].map((i) => at(`10.0.0.${i}`)));
});

Deno.test("LastAddresses writes only what is news", async () => {
  await using store = await openStore(":memory:");
  let written = 0;
  const counting = new Proxy(store, {
    get(target, name) {
      if (name === "replaceInto") written++;
      const member = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  await using last = await open(counting);
  for (let i = 0; i < 100; i++) last.note(BOB, at("10.0.0.2"));
  await last[Symbol.asyncDispose]();
  assert.equal(written, 1);
});

Deno.test("LastAddresses forgets a peer that is approved no more", async () => {
  await using store = await openStore(":memory:");
  {
    await using last = await open(store);
    last.note(BOB, at("10.0.0.2"));
  }
  {
    await using last = await open(store, () => false);
    assert.deepEqual(last.of(BOB), []);
  }
  assert.deepEqual(await store.selectFrom("last_addresses").selectAll().execute(), []);
});

Deno.test("LastAddresses takes nothing of a table that somebody wrote nonsense into", async () => {
  await using store = await openStore(":memory:");
  const other = generateIdentity().id;
  await store.insertInto("last_addresses").values([
    { node_id: BOB, addresses: '[["10.0.0.2",8911],["not a name",8911],["10.0.0.3",0],["10.0.0.4"],7,null]' },
    { node_id: other, addresses: "{" },
    { node_id: "nobody", addresses: "[]" },
  ]).execute();
  await using last = await open(store);
  assert.deepEqual([last.of(BOB), last.of(other)], [[at("10.0.0.2")], []]);
  assert.equal((await store.selectFrom("last_addresses").selectAll().execute()).length, 1);
});

Deno.test("LastAddresses keeps what the owner told, a name included, and it follows a peer to its new key", async () => {
  await using store = await openStore(":memory:");
  const [next, stranger] = [generateIdentity().id, generateIdentity().id];
  {
    await using last = await open(store, (id) => id !== stranger);
    last.told(BOB, [at("attic.example.org", 9000), at("10.0.0.2")]);
    last.told(stranger, [at("10.0.0.66")]);
    last.inherit(BOB, next);
    assert.deepEqual(last.of(next), [at("10.0.0.2"), at("attic.example.org", 9000)]);
  }
  await using last = await open(store);
  assert.deepEqual(last.of(next), [at("10.0.0.2"), at("attic.example.org", 9000)]);
  assert.deepEqual(last.of(stranger), []);
});
