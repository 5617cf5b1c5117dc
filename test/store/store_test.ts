import assert from "node:assert/strict";
import { openStore, type Store } from "@ark/node/store";

const INSERT = "INSERT INTO revoked_peers VALUES (?, ?, ?, ?)";

async function names(store: Store): Promise<string[]> {
  return (await store.selectFrom("revoked_peers").select("name").orderBy("name").execute()).map(({ name }) => name);
}

Deno.test("Store.batch() commits what its work wrote and returns its result", async () => {
  await using store = await openStore(":memory:");
  const count = await store.batch((statements) => {
    for (const name of ["a", "b"]) statements.run(INSERT, name, "key", name, "2026-01-01T00:00:00Z");
    return statements.all<{ n: number }>("SELECT count(*) AS n FROM revoked_peers WHERE name >= ?", "a")[0]?.n;
  });
  assert.equal(count, 2);
  assert.deepEqual(await names(store), ["a", "b"]);
});

Deno.test("Store.batch() rolls everything back when its work throws", async () => {
  await using store = await openStore(":memory:");
  const broken = store.batch((statements) => {
    statements.run(INSERT, "a", "key", "a", "2026-01-01T00:00:00Z");
    throw new RangeError("no");
  });
  await assert.rejects(broken, RangeError);
  assert.deepEqual(await names(store), []);
  await store.batch((statements) => statements.run(INSERT, "b", "key", "b", "2026-01-01T00:00:00Z"));
  assert.deepEqual(await names(store), ["b"]);
});

Deno.test("Store.batch() waits for a transaction of Kysely and is not part of it", async () => {
  await using store = await openStore(":memory:");
  const order: string[] = [];
  let batch: Promise<unknown> = Promise.resolve();
  const transaction = store.transaction().execute(async (inner) => {
    await inner.insertInto("revoked_peers")
      .values({ node_id: "t", public_key: "key", name: "t", revoked_at: "2026-01-01T00:00:00Z" }).execute();
    batch = store.batch((statements) => {
      order.push("batch");
      statements.run(INSERT, "b", "key", "b", "2026-01-01T00:00:00Z");
    });
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    order.push("transaction");
    throw new RangeError("roll back");
  });
  await assert.rejects(transaction, RangeError);
  await batch;
  assert.deepEqual(order, ["transaction", "batch"]);
  assert.deepEqual(await names(store), ["b"]);
});

Deno.test("Store streams rows and counts changes as Kysely promises", async () => {
  await using store = await openStore(":memory:");
  for (const name of ["a", "b", "c"]) {
    await store.insertInto("revoked_peers")
      .values({ node_id: name, public_key: "key", name, revoked_at: "2026-01-01T00:00:00Z" }).execute();
  }
  const rows = await Array.fromAsync(store.selectFrom("revoked_peers").select("name").orderBy("name").stream());
  assert.deepEqual(rows.map(({ name }) => name), ["a", "b", "c"]);
  const { numDeletedRows } = await store.deleteFrom("revoked_peers").where("name", ">", "a").executeTakeFirstOrThrow();
  assert.equal(numDeletedRows, 2n);
});
