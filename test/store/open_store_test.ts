import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openStore, StoreError } from "@ark/node/store";
import { withDirectory } from "../support/temporary.ts";

const DIGEST = { path: "/m/a.gguf", size: 3, mtime_ms: 4, digest: "00".repeat(32) };

async function refusal(path: string): Promise<string> {
  let sentence = "";
  await assert.rejects(openStore(path), (error) => {
    assert.ok(error instanceof StoreError);
    sentence = error.message;
    return true;
  });
  assert.match(sentence, /^Cannot open the database [^\n]+$/);
  return sentence;
}

Deno.test("openStore() keeps what was committed", () =>
  withDirectory(async (directory) => {
    for (const expected of [0, 1]) {
      await using store = await openStore(`${directory}/ark.db`);
      assert.equal((await store.selectFrom("model_digests").selectAll().execute()).length, expected);
      if (expected === 0) await store.insertInto("model_digests").values(DIGEST).execute();
      else assert.deepEqual({ ...await store.selectFrom("model_digests").selectAll().executeTakeFirst() }, DIGEST);
    }
  }));

Deno.test("openStore() gives the database, its log and its index to the owner only", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/ark.db`;
    await Deno.writeFile(path, new Uint8Array(0), { mode: 0o644 });
    await using store = await openStore(path);
    await store.insertInto("model_digests").values(DIGEST).execute();
    for (const suffix of ["", "-wal", "-shm"]) {
      assert.equal(((await Deno.stat(path + suffix)).mode ?? 0) & 0o777, 0o600, suffix);
    }
  }));

Deno.test("openStore() commits durably, in a write-ahead log, with foreign keys", () =>
  withDirectory(async (directory) => {
    await using store = await openStore(`${directory}/ark.db`);
    const values = await store.batch((statements) =>
      ["journal_mode", "synchronous", "foreign_keys"].flatMap((name) => statements.all<object>(`PRAGMA ${name}`))
    );
    assert.deepEqual(values.map((row) => Object.values(row)[0]), ["wal", 2, 1]);
  }));

Deno.test("openStore() works in memory", async () => {
  await using store = await openStore(":memory:");
  await store.insertInto("model_digests").values(DIGEST).execute();
  assert.equal((await store.selectFrom("model_digests").select("size").executeTakeFirst())?.size, 3);
});

Deno.test("openStore() refuses a file that is no database and leaves it as it is", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/ark.db`;
    const bytes = new TextEncoder().encode("precious notes, no database\n".repeat(500));
    await Deno.writeFile(path, bytes);
    assert.match(await refusal(path), /is damaged or is no SQLite database/);
    assert.deepEqual(await Deno.readFile(path), bytes);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name), ["ark.db"]);
  }));

Deno.test("openStore() refuses a database with a damaged page and leaves it as it is", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/ark.db`;
    {
      await using store = await openStore(path);
      await store.batch((statements) => {
        for (let index = 0; index < 500; index++) {
          statements.run("INSERT INTO model_digests VALUES (?, 1, 1, ?)", `/models/${index}`, "d".repeat(64));
        }
      });
    }
    const bytes = await Deno.readFile(path);
    bytes.fill(0xa5, bytes.length - 3 * 4096, bytes.length - 2 * 4096);
    await Deno.writeFile(path, bytes);
    assert.match(await refusal(path), /is damaged or is no SQLite database/);
    assert.deepEqual(await Deno.readFile(path), bytes);
  }));

Deno.test("openStore() refuses a database that was cut", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/ark.db`;
    await (await openStore(path))[Symbol.asyncDispose]();
    await Deno.truncate(path, 6_000);
    assert.match(await refusal(path), /is damaged or is no SQLite database/);
  }));

Deno.test("openStore() refuses a database that a newer program made", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/ark.db`;
    await (await openStore(path))[Symbol.asyncDispose]();
    {
      using sqlite = new DatabaseSync(path);
      sqlite.exec("INSERT INTO kysely_migration VALUES ('0099_from_the_future', '2030-01-01T00:00:00Z')");
    }
    const bytes = await Deno.readFile(path);
    assert.match(await refusal(path), /a newer ark-node made it \(step 0099_from_the_future\)/);
    assert.deepEqual(await Deno.readFile(path), bytes);
  }));

Deno.test("openStore() says who to end where another program holds the database", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/ark.db`;
    using other = new DatabaseSync(path);
    other.exec("CREATE TABLE t (a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)");
    assert.match(await refusal(path), /another program is using it/);
    other.exec("ROLLBACK");
  }));

Deno.test("openStore() says why where the directory is missing", () =>
  withDirectory(async (directory) => {
    assert.match(await refusal(`${directory}/none/ark.db`), /No such file or directory/);
  }));
