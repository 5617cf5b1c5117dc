/** Backups by the owner, what goes back with one and what never does. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AuditLog } from "@ark/node/audit";
import { dataPaths } from "@ark/node/config";
import { backUp, restoreBackup } from "@ark/node/daemon";
import { generateIdentity } from "@ark/node/identity";
import { backupFolder, KEPT_BACKUPS, listBackups, makeBackup, openStore, StoreError } from "@ark/node/store";
import { runMain } from "../cli/run_main.ts";
import { fullRecord } from "../audit/log_fixture.ts";
import { MeshPeer, question } from "../mesh/mesh_peer.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { withDirectory } from "../support/temporary.ts";
import { contentsOf } from "./database_contents.ts";
import { layOut, readFixture } from "./fixture.ts";

/** A data directory of the present version, with what a version of before had in it. */
async function presentData(data: string): Promise<void> {
  await layOut(await readFixture("0009"), data);
  await (await openStore(`${data}/node.db`))[Symbol.asyncDispose]();
}

Deno.test("ark-node backup works while the node runs, and the whole node comes back from the file in an empty directory", () =>
  withDirectory(async (directory) => {
    const file = `${directory}/stick/node.backup`;
    await Deno.mkdir(dirname(file));
    const friend = generateIdentity();
    let id = "";
    let entries = 0;
    {
      await using node = await TestNode.start({ name: "B", models: [FIXTURES], data: `${directory}/data` });
      await using peer = new MeshPeer(node.daemon.id, node.daemon.mesh, friend);
      await node.approve({ publicKey: peer.publicKey, name: "A" });
      assert.equal((await peer.ask(question(MODEL, "one", { max_tokens: 1 }))).code, null);
      id = node.daemon.id;
      await node.admin("/audit/verify");
      const { code, stdout, stderr } = await runMain(["backup", file, "--data", node.data, "--json"]);
      assert.equal(code, 0, stderr);
      assert.equal(JSON.parse(stdout).path, file);
      assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
      entries = (await node.admin<{ entries: number }>("/audit/verify")).body.entries;
      // It refuses to be overwritten, and a node that runs is not restored.
      const again = await runMain(["backup", file, "--data", node.data]);
      assert.match(again.stderr, /^ark-node: Cannot make a backup: \S+ is there already, so choose another name\n$/);
      const restored = await runMain(["restore", file, "--data", node.data]);
      assert.equal(restored.code, 1);
      assert.match(restored.stderr, /already uses \S+: stop it first/);
    }
    const data = `${directory}/new machine`;
    const { code, stdout, stderr } = await runMain(["restore", file, "--data", data, "--json"]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout).files, ["approved_peers.json", "node.key"]);
    await using node = await TestNode.start({ name: "B", models: [FIXTURES], data });
    assert.equal(node.daemon.id, id);
    await using peer = new MeshPeer(node.daemon.id, node.daemon.mesh, friend);
    assert.equal((await peer.ask(question(MODEL, "one", { max_tokens: 1 }))).code, null);
    const { body: verdict } = await node.admin<{ ok: boolean; entries: number }>("/audit/verify");
    assert.ok(verdict.ok);
    assert.ok(verdict.entries >= entries);
  }));

Deno.test("ark-node backup list shows what there is, and no more than enough is kept of each kind", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    await presentData(data);
    for (let count = 0; count < KEPT_BACKUPS.owner + 3; count++) {
      const { code, stderr } = await runMain(["backup", "--data", data]);
      assert.equal(code, 0, stderr);
    }
    const { stdout } = await runMain(["backup", "list", "--data", data, "--json"]);
    const { backups } = JSON.parse(stdout) as { backups: { name: string; reason: string; step: number }[] };
    const count = (reason: string) => backups.filter((each) => each.reason === reason).length;
    assert.deepEqual([count("owner"), count("upgrade")], [KEPT_BACKUPS.owner, 1]);
    const table = (await runMain(["backup", "list", "--data", data])).stdout.split("\n");
    assert.match(table[0] ?? "", /^NAME +MADE +FORM +SIZE +WHY$/);
    assert.match(table.join("\n"), /upgrade\.db +\S+ \S+ UTC +9 +\S+ kB +before an upgrade/);
    // Any of them is named without its folder.
    const before = contentsOf(`${data}/node.db`);
    const named = await runMain(["restore", backups.at(-1)?.name ?? "", "--data", data, "--json"]);
    assert.equal(named.code, 0, named.stderr);
    // And a restore can be taken back: what it replaced is a backup like the others.
    const { step, replaced } = JSON.parse(named.stdout);
    assert.equal(step, 9);
    const undone = await runMain(["restore", replaced, "--data", data]);
    assert.equal(undone.code, 0, undone.stderr);
    assert.deepEqual(contentsOf(`${data}/node.db`), before);
  }));

Deno.test("A restore brings nobody back who was shut out since, and nothing that was used up", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    const identity = generateIdentity();
    const file = `${data}/approved_peers.json`;
    let key = "";
    let invitations: { state: string }[] = [];
    {
      await using node = await TestNode.start({ name: "B", models: [FIXTURES], data });
      await using peer = new MeshPeer(node.daemon.id, node.daemon.mesh, identity);
      await node.approve({ publicKey: peer.publicKey, name: "A" });
      const made = await runMain(["keys", "create", "phone", "--data", data, "--json"]);
      key = JSON.parse(made.stdout).text;
      for (let count = 0; count < 2; count++) {
        const invited = await runMain(["invite", "--data", data, "--json"]);
        assert.equal(invited.code, 0, invited.stderr);
      }
      const before = await Deno.readFile(file);
      await backUp(dataPaths(data));
      // Afterwards all of it is taken back, and one key is new.
      await node.admin("/peers/revoke", { node_id: identity.id });
      assert.equal((await runMain(["keys", "revoke", "phone", "--data", data])).code, 0);
      const list = await runMain(["invites", "list", "--data", data, "--json"]);
      const [first] = JSON.parse(list.stdout).invitations ?? JSON.parse(list.stdout);
      assert.equal((await runMain(["invites", "revoke", first.id, "--data", data])).code, 0);
      const laptop = await runMain(["keys", "create", "laptop", "--data", data, "--json"]);
      assert.equal(laptop.code, 0, laptop.stderr);
      // Whoever puts the file of approvals back as well (T63) gains nothing.
      await Deno.writeFile(file, before);
    }
    const { notes } = await restoreBackup(dataPaths(data), null);
    assert.deepEqual(notes, []);
    await using node = await TestNode.start({ name: "B", models: [FIXTURES], data, flags: { "require-keys": true } });
    await using peer = new MeshPeer(node.daemon.id, node.daemon.mesh, identity);
    const { status, code } = await peer.ask(question(MODEL, "one", { max_tokens: 1 }));
    assert.deepEqual([status, code], [403, "ark_revoked"]);
    const response = await fetch(`${node.api}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    await response.body?.cancel();
    assert.equal(response.status, 401);
    const keys = contentsOf(`${data}/node.db`).api_keys ?? [];
    assert.deepEqual(keys.map(({ name, revoked_at }) => [name, revoked_at === null]).sort(), [
      ["laptop", true],
      ["phone", false],
    ]);
    invitations = JSON.parse((await runMain(["invites", "list", "--data", data, "--json"])).stdout);
    assert.equal(((invitations as { invitations?: unknown[] }).invitations ?? invitations).length, 1);
    // The log goes on behind what came after the backup: to its witnesses nothing was cut.
    const { body: verdict } = await node.admin<{ ok: boolean }>("/audit/verify");
    assert.ok(verdict.ok);
  }));

Deno.test("A restore keeps the audit log, though the database of before ended earlier and audit.log was lost", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    const identity = generateIdentity();
    await Deno.writeTextFile(`${data}/node.key`, identity.privateKeyPem(), { mode: 0o600 });
    const append = async (from: number, to: number) => {
      await using store = await openStore(`${data}/node.db`);
      await using log = await AuditLog.open({ store, mirror: `${data}/audit.log`, identity });
      for (let number = from; number <= to; number++) await log.append(fullRecord(number));
    };
    await append(1, 300);
    await backUp(dataPaths(data));
    await append(301, 600);
    await Deno.remove(`${data}/audit.log`);
    await restoreBackup(dataPaths(data), null);
    await using store = await openStore(`${data}/node.db`);
    await using log = await AuditLog.open({ store, mirror: `${data}/audit.log`, identity });
    const verdict = await log.verify();
    assert.deepEqual([verdict.ok, verdict.entries], [true, 600]);
    assert.equal(log.fault, null);
  }));

Deno.test("A damaged database is replaced by its backup, and kept as it was", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    await presentData(data);
    {
      using sqlite = new DatabaseSync(`${data}/node.db`);
      sqlite.exec("INSERT INTO invitations VALUES ('aa', 1, 99999999999999, '{}', NULL, NULL)");
    }
    await backUp(dataPaths(data));
    const bytes = await Deno.readFile(`${data}/node.db`);
    bytes.fill(0xa5, 4_096, bytes.length - 4_096);
    await Deno.writeFile(`${data}/node.db`, bytes);
    await assert.rejects(openStore(`${data}/node.db`), /put a backup in its place with 'ark-node restore --latest'/);
    const { replaced, notes } = await restoreBackup(dataPaths(data), null);
    assert.match(replaced ?? "", /backups\/damaged-[^/]+$/);
    assert.deepEqual(await Deno.readFile(`${replaced}/node.db`), bytes);
    assert.match(
      notes.join(" "),
      /database is damaged, so it is not known what changed .* open invitations were ended/,
    );
    await using store = await openStore(`${data}/node.db`);
    assert.equal((await store.selectFrom("revoked_peers").selectAll().execute()).length, 1);
    assert.deepEqual(await store.selectFrom("invitations").selectAll().where("used_ms", "is", null).execute(), []);
  }));

Deno.test("What a killed node left in the log beside its database is kept, and does not get into what is restored", () =>
  withDirectory(async (directory) => {
    const data = `${directory}/data`;
    await presentData(data);
    await backUp(dataPaths(data));
    const killed = `${directory}/killed`;
    {
      await using store = await openStore(`${data}/node.db`);
      await store.insertInto("model_digests").values({ path: "/new", size: 1, mtime_ms: 1, digest: "d" }).execute();
      // As they lie there when the process is killed.
      await layOut(await readFixture("0009"), killed);
      for (const suffix of ["", "-wal"]) await Deno.copyFile(`${data}/node.db${suffix}`, `${killed}/node.db${suffix}`);
      assert.ok((await Deno.stat(`${killed}/node.db-wal`)).size > 0);
    }
    const [backup] = await listBackups(backupFolder(`${data}/node.db`));
    const { replaced } = await restoreBackup(dataPaths(killed), backup?.path ?? null);
    const paths = (file: string) => (contentsOf(file).model_digests ?? []).map(({ path }) => path);
    assert.ok(paths(replaced ?? "").includes("/new"));
    assert.ok(!paths(`${killed}/node.db`).includes("/new"));
    await using store = await openStore(`${killed}/node.db`);
    assert.equal((await store.selectFrom("revoked_peers").selectAll().execute()).length, 1);
  }));

Deno.test("A restore is refused while another program has the database open", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    await presentData(data);
    await backUp(dataPaths(data));
    const { ino } = await Deno.stat(`${data}/node.db`);
    {
      // As 'ark-node audit export' or sqlite3 has it, without the lock of the data directory.
      using other = new DatabaseSync(`${data}/node.db`);
      other.prepare("SELECT * FROM audit_entries").all();
      await assert.rejects(
        restoreBackup(dataPaths(data), null),
        /another program is using the database; end that one first; nothing was changed$/,
      );
      assert.equal((await Deno.stat(`${data}/node.db`)).ino, ino);
    }
    await restoreBackup(dataPaths(data), null);
  }));

Deno.test("An older program that finds a newer database names the backup to go back to", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    await presentData(data);
    const { path } = await makeBackup({ database: `${data}/node.db`, reason: "upgrade" });
    {
      using sqlite = new DatabaseSync(`${data}/node.db`);
      sqlite.exec("INSERT INTO kysely_migration VALUES ('0099_from_the_future', '2030-01-01T00:00:00Z')");
    }
    const name = path.slice(path.lastIndexOf("/") + 1);
    const bytes = await Deno.readFile(`${data}/node.db`);
    await assert.rejects(openStore(`${data}/node.db`), (error) => {
      assert.ok(error instanceof StoreError);
      assert.match(error.message, /a newer ark-node made it \(step 0099_from_the_future\)/);
      assert.ok(error.message.includes(`go back with 'ark-node restore ${name}'`), error.message);
      return true;
    });
    assert.deepEqual(await Deno.readFile(`${data}/node.db`), bytes);
    // And what it says works, with the older program.
    const { code, stderr } = await runMain(["restore", name, "--data", data]);
    assert.equal(code, 0, stderr);
    await (await openStore(`${data}/node.db`))[Symbol.asyncDispose]();
    assert.equal(
      (await listBackups(backupFolder(`${data}/node.db`))).filter((each) => each.reason === "replaced").length,
      1,
    );
  }));

Deno.test("What root backs up and restores stays the node's own", () =>
  withDirectory(async (directory) => {
    if (Deno.build.os === "windows" || Deno.uid() !== 0) {
      // deno-lint-ignore no-console
      console.log("Skipped: only root can make files of another user");
      return;
    }
    const data = `${directory}/data`;
    await presentData(data);
    await Deno.remove(`${data}/backups`, { recursive: true });
    for (const { path } of await everything(data)) await Deno.chown(path, 12_345, 12_346);
    await backUp(dataPaths(data), { file: `${directory}/stick.backup` });
    await backUp(dataPaths(data));
    await restoreBackup(dataPaths(data), null);
    const bytes = await Deno.readFile(`${data}/node.db`);
    await Deno.writeFile(`${data}/node.db`, bytes.fill(0xa5, 4_096));
    await restoreBackup(dataPaths(data), null);
    const fresh = `${directory}/fresh`;
    await Deno.mkdir(fresh, { mode: 0o700 });
    await Deno.chown(fresh, 12_345, 12_346);
    await restoreBackup(dataPaths(fresh), `${directory}/stick.backup`);
    const found = [...await everything(data), ...await everything(fresh)];
    assert.ok(found.some(({ path }) => path.includes("damaged-")));
    // The lock and the folder of models are made by whoever is first, as ever.
    const others = found.filter(({ path, uid }) => uid !== 12_345 && !/node\.lock$|models$/.test(path));
    assert.deepEqual(others, []);
  }));

async function everything(path: string): Promise<{ path: string; uid: number | null }[]> {
  const { uid, isDirectory } = await Deno.stat(path);
  const inside = isDirectory ? await Array.fromAsync(Deno.readDir(path)) : [];
  return [{ path, uid }, ...(await Promise.all(inside.map(({ name }) => everything(`${path}/${name}`)))).flat()];
}
