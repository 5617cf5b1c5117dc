/** kill -9 while a database is backed up, lifted and brought back. */
import assert from "node:assert/strict";
import { AuditLog } from "@ark/node/audit";
import { dataPaths } from "@ark/node/config";
import { backUp, restoreBackup } from "@ark/node/daemon";
import { refuseUnfinishedRestore } from "../../src/daemon/backups.ts";
import { loadIdentity } from "@ark/node/identity";
import { backupFolder, listBackups, openStore } from "@ark/node/store";
import { fullRecord } from "../audit/log_fixture.ts";
import { cleanEnvironment } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { contentsOf } from "./database_contents.ts";
import { layOut, readFixture } from "./fixture.ts";

const KILLS = Deno.env.get("ARK_LONG") === "1" ? 100 : 10;
const AT_ONCE = 2;
/** A round of all acts takes about so long, in milliseconds, so that each of them is hit. */
const LATEST_MS = 1_500;

Deno.test(`Nothing is lost by ${KILLS} kills while a database is backed up, lifted and brought back`, () =>
  withDirectory(async (directory) => {
    const model = `${directory}/model`;
    await layOut(await readFixture("0009"), model);
    const entries = await grow(model);
    const identity = await loadIdentity(`${model}/node.key`);
    const approvals = await Deno.readTextFile(`${model}/approved_peers.json`);
    const file = `${directory}/stick.backup`;
    await backUp(dataPaths(model), { file });
    let unfinished = 0;
    const hit = async (number: number) => {
      const data = `${directory}/${number}`;
      await layOut(await readFixture("0009"), data);
      await Deno.copyFile(`${model}/node.db`, `${data}/node.db`);
      await Deno.copyFile(`${model}/audit.log`, `${data}/audit.log`);
      await killedAtRandom(data, file);
      // Every backup that has its name is whole.
      for (const { path } of await listBackups(backupFolder(`${data}/node.db`))) {
        assert.deepEqual(contentsOf(path).audit_entries?.length, entries, path);
      }
      // The node is there, whatever was on its way.
      await check(data, { entries, id: identity.id });
      assert.equal(await Deno.readTextFile(`${data}/approved_peers.json`), approvals);
      // The one that was brought back is there as a whole, or the same command does it.
      // A start before that is refused, and makes no other node.
      const begun = await Deno.stat(`${data}-new/restore.unfinished`).then(() => true, () => false);
      if (begun) unfinished++;
      if (!await Deno.stat(`${data}-new/node.key`).then(() => true, () => false)) {
        if (begun) await assert.rejects(refuseUnfinishedRestore(dataPaths(`${data}-new`)), /was interrupted: run/);
        await restoreBackup(dataPaths(`${data}-new`), file);
      }
      assert.equal(await Deno.readTextFile(`${data}-new/approved_peers.json`), approvals);
      await refuseUnfinishedRestore(dataPaths(`${data}-new`));
      await check(`${data}-new`, { entries, id: identity.id });
      // And goes on: the next restore clears up what is left.
      await restoreBackup(dataPaths(data), file);
      const rest = (await Array.fromAsync(Deno.readDir(data))).map(({ name }) => name);
      assert.deepEqual(rest.filter((name) => name.includes(".restoring")), []);
      await Deno.remove(data, { recursive: true });
      await Deno.remove(`${data}-new`, { recursive: true });
    };
    for (let first = 0; first < KILLS; first += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => hit(first + index)));
    }
    // deno-lint-ignore no-console
    console.log(`${KILLS} kills, ${unfinished} in the middle of bringing a node back`);
  }));

/** So many entries that each act takes a while. */
async function grow(data: string): Promise<number> {
  // The table of then has all that it has now.
  const before = contentsOf(`${data}/node.db`).kysely_migration;
  {
    await using store = await openStore(`${data}/node.db`);
    const identity = await loadIdentity(`${data}/node.key`);
    await using log = await AuditLog.open({ store, mirror: `${data}/audit.log`, identity });
    for (let number = 1; number <= 2_000; number += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => log.append(fullRecord(number + index))));
    }
    await log.verify();
    await store.schema.dropTable("chunk_lists").execute();
  }
  const { DatabaseSync } = await import("node:sqlite");
  using sqlite = new DatabaseSync(`${data}/node.db`);
  sqlite.exec("DELETE FROM kysely_migration WHERE name > '0009_demand'");
  assert.deepEqual(contentsOf(`${data}/node.db`).kysely_migration, before);
  await Deno.remove(backupFolder(`${data}/node.db`), { recursive: true });
  return contentsOf(`${data}/node.db`).audit_entries?.length ?? 0;
}

async function killedAtRandom(data: string, file: string): Promise<void> {
  const script = new URL("doomed_owner.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", script, data, file],
    env: cleanEnvironment(),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const reader = child.stdout.getReader();
  const said = await reader.read();
  const told = new Response(child.stderr).text();
  await new Promise((resolve) => setTimeout(resolve, Math.random() * LATEST_MS));
  clearTimeout(limit);
  // One that has ended by itself met an error, which is what this looks for.
  try {
    child.kill("SIGKILL");
  } catch {
    // The status tells.
  }
  await reader.cancel();
  const { signal } = await child.status;
  assert.equal(signal, "SIGKILL", await told);
  assert.ok(!said.done, "The process was not ready within two minutes");
  await told;
}

async function check(data: string, { entries, id }: { entries: number; id: string }): Promise<void> {
  await using store = await openStore(`${data}/node.db`);
  const identity = await loadIdentity(`${data}/node.key`);
  assert.equal(identity.id, id);
  await using log = await AuditLog.open({ store, mirror: `${data}/audit.log`, identity });
  const verdict = await log.verify();
  assert.deepEqual([verdict.ok, verdict.entries, log.fault], [true, entries, null]);
  assert.equal((await store.selectFrom("revoked_peers").selectAll().execute()).length, 1);
  assert.equal((await store.selectFrom("api_keys").selectAll().execute()).length, 2);
}
