import assert from "node:assert/strict";
import { AuditLog, type AuditRecord } from "@ark/node/audit";
import { ArkError } from "@ark/node/protocol";
import { openStore } from "@ark/node/store";
import { type ArkEvent, Events, Logger } from "@ark/node/telemetry";
import { fullRecord, soundEntries, withFixture } from "./log_fixture.ts";
import { fillDisk, withTinyDisk } from "../support/temporary.ts";

const RECORD: AuditRecord = fullRecord(1);

async function appendedUntilFull(log: AuditLog): Promise<{ acknowledged: number; error: ArkError }> {
  for (let acknowledged = 0;; acknowledged++) {
    try {
      await log.append(RECORD);
    } catch (error) {
      assert.ok(error instanceof ArkError);
      return { acknowledged, error };
    }
  }
}

for (const slowMs of [1, 0]) {
  const how = slowMs === 0 ? "in a thread" : "at once";
  Deno.test(`T30: AuditLog.append() fails closed on a full disk and recovers with it, synced ${how}`, () =>
    withTinyDisk(256, (tiny) =>
      withFixture(async ({ directory }) => {
        const mirror = `${tiny}/audit.log`;
        const events = new Events();
        const abort = new AbortController();
        const seen: ArkEvent[] = [];
        const watching = Array.fromAsync(events.subscribe(abort.signal), (event) => void seen.push(event));
        const said: string[] = [];
        const logger = new Logger({ write: (line) => said.push(line.slice(25, 30).trim()) });
        {
          await using store = await openStore(`${directory}/ark.db`);
          await using log = await AuditLog.open({ store, mirror, logger, events, slowMs });
          await log.append(RECORD);
          await fillDisk(`${tiny}/ballast`);

          const { acknowledged, error } = await appendedUntilFull(log);
          assert.equal(error.code, "audit_unavailable");
          assert.match(error.message, /^Cannot write the audit log .*: the disk is full; free some space/);
          assert.equal(log.fault, error.message);
          // Nothing half-written, however often it is tried.
          for (let round = 0; round < 3; round++) {
            const results = await Promise.allSettled([log.append(RECORD), log.append(RECORD)]);
            assert.ok(results.every(({ status }) => status === "rejected"));
          }
          const text = await Deno.readTextFile(mirror);
          assert.ok(text.endsWith("}\n"));
          assert.equal(text.split("\n").length - 1, acknowledged + 1);
          assert.equal(await soundEntries(log), acknowledged + 1);

          await Deno.remove(`${tiny}/ballast`);
          assert.equal((await log.append(RECORD)).seq, acknowledged + 2);
          assert.equal(log.fault, null);
          await soundEntries(log);
        }
        abort.abort();
        await watching;
        assert.deepEqual(seen, [{ type: "audit", available: false }, { type: "audit", available: true }]);
        assert.deepEqual(said, ["ERROR", "INFO"]);
      })));
}

Deno.test("AuditLog and its database on the same full disk lose nothing that was acknowledged", () =>
  withTinyDisk(512, async (tiny) => {
    let acknowledged = 0;
    {
      await using store = await openStore(`${tiny}/ark.db`);
      await using log = await AuditLog.open({ store, mirror: `${tiny}/audit.log` });
      ({ acknowledged } = await appendedUntilFull(log));
      assert.ok(acknowledged > 10, String(acknowledged));
    }
    const copied = await Deno.makeTempDir();
    try {
      for await (const { name } of Deno.readDir(tiny)) await Deno.copyFile(`${tiny}/${name}`, `${copied}/${name}`);
      await using store = await openStore(`${copied}/ark.db`);
      await using log = await AuditLog.open({ store, mirror: `${copied}/audit.log` });
      assert.equal(await soundEntries(log), acknowledged);
    } finally {
      await Deno.remove(copied, { recursive: true });
    }
  }));

Deno.test("AuditLog.open() opens on a full disk, refuses, and recovers with it", () =>
  withTinyDisk(256, async (tiny) => {
    await withFixture(async ({ directory }) => {
      const mirror = `${tiny}/audit.log`;
      await using store = await openStore(`${directory}/ark.db`);
      {
        await using log = await AuditLog.open({ store, mirror });
        for (let count = 0; count < 20; count++) await log.append(RECORD);
      }
      // Cut, so that the start has to write, and full, so that it cannot.
      await Deno.truncate(mirror, 100);
      await fillDisk(`${tiny}/ballast`);
      await using log = await AuditLog.open({ store, mirror });
      assert.match(log.fault ?? "", /the disk is full/);
      await assert.rejects(log.append(RECORD), ArkError);
      await Deno.remove(`${tiny}/ballast`);
      assert.equal((await log.append(RECORD)).seq, 21);
      assert.equal(await soundEntries(log), 21);
    });
  }));
