/** What is given to a restore and is no backup, or no good one any more. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { dataPaths } from "@ark/node/config";
import { backUp, restoreBackup, StartError } from "@ark/node/daemon";
import { generateIdentity } from "@ark/node/identity";
import { openStore } from "@ark/node/store";
import { seal } from "../../src/store/backup_seal.ts";
import { withDirectory } from "../support/temporary.ts";
import { layOut, readFixture } from "./fixture.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const RUNS = LONG ? 5_000 : 150;
/** SQLite itself has to find what is wrong, and each that it does not find is restored and opened. */
const BARE_RUNS = LONG ? 500 : 40;

/** Bytes of everything in a data directory but its lock. */
async function bytesOf(data: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isFile } of Deno.readDir(data)) {
    if (isFile && name !== "node.lock") found[name] = (await Deno.readFile(`${data}/${name}`)).toBase64();
  }
  return found;
}

/** Runs with a data directory of the present version and a good backup of it as bytes. */
function withBackup(
  test: (given: { data: string; file: string; good: Uint8Array<ArrayBuffer> }) => Promise<void>,
): Promise<void> {
  return withDirectory(async (directory) => {
    const data = `${directory}/data`;
    const file = `${directory}/given`;
    await layOut(await readFixture("0009"), data);
    await (await openStore(`${data}/node.db`))[Symbol.asyncDispose]();
    await Deno.remove(`${data}/backups`, { recursive: true });
    await backUp(dataPaths(data), { file });
    const good = await Deno.readFile(file);
    await test({ data, file, good });
  });
}

/** The sentence of a refusal that changed nothing. */
async function refusal(data: string, file: string): Promise<string> {
  const before = await bytesOf(data);
  let sentence = "";
  await assert.rejects(restoreBackup(dataPaths(data), file), (error) => {
    assert.ok(error instanceof StartError, String(error));
    sentence = error.message;
    return true;
  });
  assert.match(sentence, /^Cannot restore [^\n]+; nothing was changed$/);
  assert.deepEqual(await bytesOf(data), before);
  assert.deepEqual((await Array.fromAsync(Deno.readDir(`${data}/backups`)).catch(() => [])).length, 0);
  return sentence;
}

/** What stands behind the last page. */
const SEAL_BYTES = 85;

/** A backup after a change by SQL by somebody who seals it anew. */
async function changed(file: string, good: Uint8Array, sql: string): Promise<void> {
  await Deno.writeFile(file, good.subarray(0, good.length - SEAL_BYTES));
  {
    using sqlite = new DatabaseSync(file);
    sqlite.exec(sql);
  }
  await seal(file);
}

Deno.test("A restore refuses what is no backup of an ark-node", () =>
  withBackup(async ({ data, file, good }) => {
    assert.match(await refusal(data, `${data}/nothing`), /there is no such file/);
    assert.match(await refusal(data, data), /it is no file/);
    await Deno.writeTextFile(file, "");
    assert.match(await refusal(data, file), /no backup of an ark-node/);
    await Deno.writeTextFile(file, "SQLite format 3\0 and nothing more");
    assert.match(await refusal(data, file), /a part of it is missing/);
    await Deno.remove(file);
    {
      using other = new DatabaseSync(file);
      other.exec("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT); INSERT INTO moz_places VALUES (1, 'x')");
    }
    assert.match(await refusal(data, file), /no backup of an ark-node/);
    for (
      const sql of [
        "DROP TABLE revoked_peers",
        "ALTER TABLE api_keys ADD COLUMN more TEXT",
        "CREATE TRIGGER t AFTER INSERT ON revoked_peers BEGIN DELETE FROM revoked_peers; END",
        "CREATE VIEW v AS SELECT * FROM api_keys",
        "CREATE INDEX i ON api_keys (lower(name))",
        "DELETE FROM kysely_migration WHERE name = '0003_audit_tree'",
        "DELETE FROM kysely_migration",
        "DROP TABLE kysely_migration",
      ]
    ) {
      await changed(file, good, sql);
      assert.match(await refusal(data, file), /no backup of an ark-node/, sql);
    }
  }));

Deno.test("A restore refuses a backup of a newer version, of another node and of another history", () =>
  withBackup(async ({ data, file, good }) => {
    await changed(file, good, "INSERT INTO kysely_migration VALUES ('0099_from_the_future', '2030-01-01T00:00:00Z')");
    assert.match(await refusal(data, file), /a newer ark-node made it \(step 0099_from_the_future\), so install that/);
    const other = generateIdentity().id;
    await changed(file, good, `UPDATE ark_backup SET value = '${other}' WHERE name = 'node'`);
    assert.match(await refusal(data, file), new RegExp(`it is of another node \\(${other.slice(0, 8)}\\)`));
    await changed(
      file,
      good,
      `DELETE FROM ark_backup; UPDATE audit_entries SET hash = '${"0".repeat(64)}' WHERE seq = 2`,
    );
    assert.match(await refusal(data, file), /its audit log and the one here have different entries/);
    // In an empty directory its key must be whole, and its own.
    for (
      const sql of [
        `UPDATE ark_backup_files SET content = x'00' WHERE name = 'node.key'`,
        `UPDATE ark_backup SET value = '${other}' WHERE name = 'node'`,
      ]
    ) {
      await changed(file, good, sql);
      const empty = `${data}-empty`;
      await assert.rejects(restoreBackup(dataPaths(empty), file), /the key in it is damaged; nothing was changed$/);
      assert.deepEqual(Object.keys(await bytesOf(empty)), []);
    }
  }));

Deno.test("A restore refuses a database in use that was taken for a backup", () =>
  withBackup(async ({ data, file, good }) => {
    await Deno.writeFile(file, good);
    await Deno.writeFile(`${file}-wal`, new Uint8Array(32));
    assert.match(await refusal(data, file), /it is a database in use/);
  }));

const PAGE = 4_096;

/** Damage to a file of so many bytes. */
function damage(length: number): fc.Arbitrary<Damage> {
  const page = fc.nat(Math.floor(length / PAGE) - 1);
  return fc.oneof(
    fc.record({ kind: fc.constant("cut" as const), at: fc.nat(length - 1) }),
    fc.record({ kind: fc.constant("longer" as const), at: fc.nat(9_000) }),
    fc.record({ kind: fc.constant("byte" as const), at: fc.nat(length - 1), value: fc.nat(255) }),
    fc.record({ kind: fc.constant("head" as const), at: fc.nat(99), value: fc.nat(255) }),
    fc.record({ kind: fc.constant("page" as const), at: page, value: fc.nat(255) }),
    fc.record({ kind: fc.constant("swap" as const), at: page, other: page }),
  );
}

Deno.test(`A restore refuses a backup with any damage, ${RUNS} times`, () =>
  withBackup(({ data, file, good }) =>
    fc.assert(
      fc.asyncProperty(damage(good.length), async (what) => {
        const bytes = damaged(good, what);
        fc.pre(bytes.length !== good.length || bytes.some((byte, index) => byte !== good[index]));
        await Deno.writeFile(file, bytes);
        await refusal(data, file);
      }),
      { numRuns: RUNS },
    )
  ));

Deno.test(`A restore of a damaged database without a seal is refused, or gives one that opens, ${BARE_RUNS} times`, () =>
  withBackup(async ({ data, file }) => {
    const bare = await Deno.readFile(`${data}/node.db`);
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(damage(bare.length), async (what) => {
        await Deno.writeFile(file, damaged(bare, what));
        const before = await bytesOf(data);
        try {
          await restoreBackup(dataPaths(data), file);
        } catch (error) {
          refused++;
          assert.ok(error instanceof StartError, String(error));
          assert.match(error.message, /^Cannot restore [^\n]+; nothing was changed$/);
          assert.deepEqual(await bytesOf(data), before);
          return;
        }
        // What is damaged inside of a text is a sound database to SQLite; nobody comes back all the same.
        await using store = await openStore(`${data}/node.db`);
        assert.ok((await store.selectFrom("revoked_peers").selectAll().execute()).length >= 1);
      }),
      { numRuns: BARE_RUNS },
    );
    assert.ok(refused > BARE_RUNS / 5, `${refused} were refused`);
  }));

type Damage =
  | { kind: "cut"; at: number }
  | { kind: "longer"; at: number }
  | { kind: "byte"; at: number; value: number }
  | { kind: "head"; at: number; value: number }
  | { kind: "page"; at: number; value: number }
  | { kind: "swap"; at: number; other: number };

function damaged(good: Uint8Array<ArrayBuffer>, what: Damage): Uint8Array<ArrayBuffer> {
  const bytes = good.slice();
  if (what.kind === "cut") return bytes.subarray(0, what.at);
  if (what.kind === "longer") {
    const longer = new Uint8Array(bytes.length + what.at + 1);
    longer.set(bytes);
    return longer;
  }
  if (what.kind === "page") bytes.fill(what.value, what.at * PAGE, (what.at + 1) * PAGE);
  else if (what.kind === "swap") {
    bytes.copyWithin(what.at * PAGE, what.other * PAGE, (what.other + 1) * PAGE);
  } else bytes[what.at] = what.value;
  return bytes;
}
