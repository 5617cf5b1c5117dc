/** Data of earlier versions: opened, lifted, and brought back from the backup that was made before. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { AuditLog } from "@ark/node/audit";
import { dataPaths } from "@ark/node/config";
import { restoreBackup } from "@ark/node/daemon";
import { loadIdentity } from "@ark/node/identity";
import { backupFolder, listBackups, openStore } from "@ark/node/store";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { TestNode } from "../mesh/test_node.ts";
import { withDirectory } from "../support/temporary.ts";
import { layOut, readFixture, VERSIONS } from "./fixture.ts";
import { contentsOf, tablesOf } from "./database_contents.ts";

const PRESENT = Object.keys(MIGRATIONS).length;

for (const version of VERSIONS) {
  Deno.test(`Data of version ${version} opens, is lifted, and nothing in it is lost`, () =>
    withDirectory(async (directory) => {
      const fixture = await readFixture(version);
      const data = `${directory}/data`;
      await layOut(fixture, data);
      const before = contentsOf(`${data}/node.db`);
      const approvals = JSON.parse(await Deno.readTextFile(`${data}/approved_peers.json`));
      const log = (await Deno.readTextFile(`${data}/audit.log`)).trimEnd().split("\n");
      const key = await Deno.readTextFile(`${data}/node.key`);
      {
        await using node = await TestNode.start({ name: "present", data, flags: { "require-keys": true } });
        // Approvals and revocations.
        const standing = (id: string) => node.daemon.book.standing(id);
        assert.deepEqual([fixture.peers.approved, fixture.peers.revoked].map(standing), ["approved", "revoked"]);
        const { peers } = JSON.parse(await Deno.readTextFile(`${data}/approved_peers.json`));
        assert.deepEqual(peers, approvals.peers);
        const told = node.log.filter((line) => line.includes("'ark-node restore' goes back to this backup"));
        assert.equal(told.length, Number(version) === PRESENT ? 0 : 1);
        // API keys.
        if (fixture.keys !== null) {
          const { good, revoked } = fixture.keys;
          assert.deepEqual([await withKey(node, good), await withKey(node, revoked)], [200, 401]);
        }
        // The audit log goes on from where it was.
        const { body: verdict } = await node.admin<{ ok: boolean; entries: number }>("/audit/verify");
        assert.ok(verdict.ok);
        assert.ok(verdict.entries >= log.length);
      }
      assert.equal(await Deno.readTextFile(`${data}/node.key`), key);
      assert.deepEqual((await Deno.readTextFile(`${data}/audit.log`)).split("\n").slice(0, log.length), log);
      const after = contentsOf(`${data}/node.db`);
      // Every row of before, but for what fades with time: the log grows, and the key was used.
      const fades = ["peer_usage", "reputations", "demand", "kysely_migration", "kysely_migration_lock"];
      for (const [table, old] of Object.entries(before).filter(([name]) => !fades.includes(name))) {
        const columns = Object.keys(old[0] ?? {}).filter((name) => !["last_used_at", "day_began_at"].includes(name));
        const kept = (after[table] ?? []).slice(0, old.length);
        assert.deepEqual(kept.map((row) => only(row, columns)), old.map((row) => only(row, columns)), table);
      }
      const records = fixture.files["models/.ark-models.json"];
      if (records !== undefined) {
        assert.equal((await Deno.readFile(`${data}/models/.ark-models.json`)).toBase64(), records);
      }
      const made = (await listBackups(backupFolder(`${data}/node.db`))).map(({ step, reason }) => ({ step, reason }));
      assert.deepEqual(made, Number(version) === PRESENT ? [] : [{ step: Number(version), reason: "upgrade" }]);
    }));
}

for (const version of VERSIONS.filter((each) => Number(each) < PRESENT)) {
  Deno.test(`Data of version ${version} come back row by row from the backup before the upgrade`, () =>
    withDirectory(async (directory) => {
      const fixture = await readFixture(version);
      const data = `${directory}/data`;
      await layOut(fixture, data);
      const before = { tables: tablesOf(`${data}/node.db`), rows: contentsOf(`${data}/node.db`) };
      await (await openStore(`${data}/node.db`))[Symbol.asyncDispose]();
      assert.ok(tablesOf(`${data}/node.db`).length > before.tables.length);
      const restored = await restoreBackup(dataPaths(data), null);
      assert.deepEqual([restored.step, restored.older, restored.notes], [Number(version), true, []]);
      assert.deepEqual(restored.files, []);
      assert.deepEqual({ tables: tablesOf(`${data}/node.db`), rows: contentsOf(`${data}/node.db`) }, before);
      for (const name of ["approved_peers.json", "node.key", "audit.log"]) {
        assert.deepEqual((await Deno.readFile(`${data}/${name}`)).toBase64(), fixture.files[name], name);
      }
      // As the old program asks: are all steps known to it, and is none missing?
      const steps = before.rows["kysely_migration"]?.map(({ name }) => name);
      assert.deepEqual(steps, Object.keys(MIGRATIONS).slice(0, Number(version)));
      // And forward again.
      await using store = await openStore(`${data}/node.db`);
      const identity = await loadIdentity(`${data}/node.key`);
      await using log = await AuditLog.open({ store, mirror: `${data}/audit.log`, identity });
      assert.ok((await log.verify()).ok);
    }));
}

Deno.test("Every step between the versions opens, is lifted, and comes back", async (t) => {
  for (let step = 1; step < PRESENT; step++) {
    await t.step(`from step ${step}`, () =>
      withDirectory(async (data) => {
        await Deno.chmod(data, 0o700);
        await layOut(await readFixture("0001"), data);
        liftTo(`${data}/node.db`, await stepsTo(step));
        const before = contentsOf(`${data}/node.db`);
        await (await openStore(`${data}/node.db`))[Symbol.asyncDispose]();
        assert.equal((contentsOf(`${data}/node.db`).kysely_migration ?? []).length, PRESENT);
        await restoreBackup(dataPaths(data), null);
        assert.deepEqual(contentsOf(`${data}/node.db`), before);
      }));
  }
});

async function withKey(node: TestNode, key: string): Promise<number> {
  const response = await fetch(`${node.api}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  await response.body?.cancel();
  return response.status;
}

function only(row: Record<string, unknown>, columns: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(columns.map((name) => [name, row[name]]));
}

/** SQL of the steps behind the first, as they run on a database. */
async function stepsTo(step: number): Promise<{ name: string; schema: string[] }[]> {
  const steps: { name: string; schema: string[] }[] = [];
  for (const name of Object.keys(MIGRATIONS).slice(1, step)) {
    const source = await Deno.readTextFile(new URL(`../../migrations/${name}.ts`, import.meta.url));
    const schema = [...source.matchAll(/sql`([^`]+)`/g)].map(([, text = ""]) => text);
    assert.ok(schema.length > 0, name);
    steps.push({ name, schema });
  }
  return steps;
}

function liftTo(path: string, steps: readonly { name: string; schema: string[] }[]): void {
  using sqlite = new DatabaseSync(path);
  for (const { name, schema } of steps) {
    for (const text of schema) sqlite.exec(text);
    sqlite.prepare("INSERT INTO kysely_migration VALUES (?, ?)").run(name, new Date(0).toISOString());
  }
}

Deno.test("An upgrade that fails in one of its steps changes nothing", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    await layOut(await readFixture("0001"), data);
    const before = { tables: tablesOf(`${data}/node.db`), rows: contentsOf(`${data}/node.db`) };
    const change = (sql: string) => {
      using sqlite = new DatabaseSync(`${data}/node.db`);
      sqlite.exec(sql);
    };
    // Step 3 adds a column and then makes this table: it is where a process can be killed, too.
    change("CREATE TABLE audit_tiles (a)");
    await assert.rejects(openStore(`${data}/node.db`), /table audit_tiles already exists/);
    change("DROP TABLE audit_tiles");
    assert.deepEqual({ tables: tablesOf(`${data}/node.db`), rows: contentsOf(`${data}/node.db`) }, before);
    await (await openStore(`${data}/node.db`))[Symbol.asyncDispose]();
  }));

Deno.test("A database whose upgrades ran while the clock was set back opens", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    await layOut(await readFixture("0007"), data);
    {
      using sqlite = new DatabaseSync(`${data}/node.db`);
      sqlite.exec("UPDATE kysely_migration SET timestamp = '1970-01-01T00:00:07.000Z' WHERE name = '0005_rotations'");
    }
    await using store = await openStore(`${data}/node.db`);
    assert.equal((await store.selectFrom("revoked_peers").selectAll().execute()).length, 1);
  }));
