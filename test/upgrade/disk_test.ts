/** Upgrades, backups and restores on a disk that is full or cannot be written. */
import assert from "node:assert/strict";
import { dataPaths } from "@ark/node/config";
import { backUp, restoreBackup, StartError } from "@ark/node/daemon";
import { openStore, StoreError } from "@ark/node/store";
import { finished } from "../support/node_process.ts";
import { fillDisk, withDirectory, withTinyDisk } from "../support/temporary.ts";
import { contentsOf } from "./database_contents.ts";
import { layOut, readFixture } from "./fixture.ts";

const SENTENCE = /^Cannot [^\n]+$/;

Deno.test("On a full disk nothing is lifted, nothing is lost, and one sentence says what to do", () =>
  withTinyDisk(1_024, async (disk) => {
    const data = `${disk}/data`;
    await layOut(await readFixture("0009"), data);
    const bytes = await Deno.readFile(`${data}/node.db`);
    await fillDisk(`${disk}/rest`);
    // Room for what SQLite needs to read, and none for a copy.
    for (const free of [48 << 10, 0]) {
      await leave(`${disk}/rest`, free);
      await assert.rejects(openStore(`${data}/node.db`), (error) => {
        assert.ok(error instanceof StoreError);
        assert.match(error.message, SENTENCE);
        if (free > 0) {
          assert.match(error.message, /the disk has no room for it; free some space .*nothing was changed$/);
        }
        return true;
      });
      assert.deepEqual(await Deno.readFile(`${data}/node.db`), bytes);
      assert.deepEqual(await partsIn(data), []);
      await assert.rejects(backUp(dataPaths(data)), (error) => {
        assert.ok(error instanceof StartError);
        assert.match(error.message, SENTENCE);
        return true;
      });
      assert.deepEqual(await partsIn(data), []);
      assert.deepEqual(await Deno.readFile(`${data}/node.db`), bytes);
    }
    await Deno.remove(`${disk}/rest`);
    await using store = await openStore(`${data}/node.db`);
    assert.equal((await store.selectFrom("revoked_peers").selectAll().execute()).length, 1);
  }));

Deno.test("A restore that finds no room changes nothing", () =>
  withDirectory((directory) =>
    withTinyDisk(1_024, async (disk) => {
      const data = `${disk}/data`;
      const file = `${directory}/stick.backup`;
      await layOut(await readFixture("0009"), data);
      await backUp(dataPaths(data), { file });
      await (await openStore(`${data}/node.db`))[Symbol.asyncDispose]();
      const bytes = await Deno.readFile(`${data}/node.db`);
      const backups = await names(`${data}/backups`);
      await fillDisk(`${disk}/rest`);
      for (const free of [0, 48 << 10, 160 << 10, 240 << 10]) {
        await leave(`${disk}/rest`, free);
        await assert.rejects(restoreBackup(dataPaths(data), file), (error) => {
          assert.ok(error instanceof StartError);
          assert.match(error.message, SENTENCE);
          assert.match(error.message, /the disk has no room for it.*nothing was changed$/);
          return true;
        });
        assert.deepEqual(await Deno.readFile(`${data}/node.db`), bytes, String(free));
        assert.deepEqual(await names(`${data}/backups`), backups);
        assert.deepEqual(await partsIn(data), []);
      }
      await Deno.remove(`${disk}/rest`);
      await restoreBackup(dataPaths(data), file);
    })
  ));

Deno.test("A disk that cannot be written is said so, and a restore changes nothing", () =>
  withDirectory((directory) =>
    withTinyDisk(2_048, async (disk) => {
      const data = `${disk}/data`;
      const file = `${directory}/stick.backup`;
      await layOut(await readFixture("0009"), data);
      await backUp(dataPaths(data), { file });
      const remount = async (mode: string) =>
        assert.equal((await finished("mount", { args: ["-o", `remount,${mode}`, disk] })).code, 0);
      await remount("ro");
      try {
        for (
          const act of [
            () => openStore(`${data}/node.db`),
            () => backUp(dataPaths(data)),
            () => restoreBackup(dataPaths(data), file),
          ]
        ) {
          await assert.rejects(act, (error) => {
            assert.ok(error instanceof StoreError || error instanceof StartError);
            assert.match(error.message, SENTENCE);
            return true;
          });
        }
        // What can be read is saved to another disk all the same.
        const saved = `${directory}/saved.backup`;
        await backUp(dataPaths(data), { file: saved });
        await restoreBackup(dataPaths(`${directory}/new`), saved);
        const rows = (path: string) => contentsOf(path).audit_entries;
        assert.deepEqual(rows(`${directory}/new/node.db`), rows(file));
        assert.deepEqual((await names(directory)).filter((name) => name.includes(".part")), []);
      } finally {
        await remount("rw");
      }
      await (await openStore(`${data}/node.db`))[Symbol.asyncDispose]();
    })
  ));

/** Makes so many bytes free again. */
async function leave(filler: string, bytes: number): Promise<void> {
  await fillDisk(filler);
  const { size } = await Deno.stat(filler);
  await Deno.truncate(filler, Math.max(0, size - bytes));
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

async function partsIn(data: string): Promise<string[]> {
  const folders = [data, `${data}/backups`];
  const found = await Promise.all(folders.map((folder) => names(folder).catch(() => [])));
  return found.flat().filter((name) => /\.part|\.restoring|unfinished/.test(name));
}
