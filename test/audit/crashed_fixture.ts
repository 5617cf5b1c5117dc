import type { AuditLog } from "@ark/node/audit";
import { openStore } from "@ark/node/store";
import { makeRing } from "../../src/audit/journal_ring.ts";
import { type LogFixture, withFixture } from "./log_fixture.ts";

/** Size of the journals of these tests, in bytes. */
export const JOURNAL_BYTES = 1 << 20;

/** Opens a fixture's log with a journal, which is made first where there is none. */
export async function withJournal<T>(fixture: LogFixture, work: (log: AuditLog) => Promise<T>): Promise<T> {
  const path = `${fixture.file}.journal`;
  if (await Deno.stat(path).catch(() => null) === null) await makeRing(path, JOURNAL_BYTES);
  return await fixture.opened((log) => work(log), { journalBytes: JOURNAL_BYTES });
}

/**
 * Fills a log with a journal, and hands over what lies on the disk while it is open, as `kill -9` leaves it: the journal
 * has entries that are not known to be durable in `audit.log`, but those of a run `before` that ended well. A loss of power is made of it by taking bytes away.
 */
export async function withCrashed(
  fill: (log: AuditLog) => Promise<unknown>,
  test: (fixture: LogFixture) => Promise<void>,
  before?: (log: AuditLog) => Promise<unknown>,
): Promise<void> {
  await withFixture((crashed) =>
    withFixture(async (running) => {
      if (before !== undefined) await withJournal(running, before);
      await withJournal(running, async (log) => {
        await fill(log);
        await log.tail(1);
        for await (const { name, isFile } of Deno.readDir(running.directory)) {
          if (isFile) await Deno.copyFile(`${running.directory}/${name}`, `${crashed.directory}/${name}`);
        }
      });
      await test(crashed);
    })
  );
}

/** Removes rows of a log that is closed, so that its database is as a loss of power leaves it. */
export async function cutRows({ directory }: LogFixture, after: number): Promise<void> {
  await using store = await openStore(`${directory}/ark.db`);
  await store.deleteFrom("audit_entries").where("seq", ">", after).execute();
}

/** Keeps so many lines of `audit.log`. */
export async function cutLines({ lines, rewrite }: LogFixture, count: number): Promise<void> {
  await rewrite((await lines()).slice(0, count));
}
