import { basename, dirname, join } from "node:path";
import { reasonOf } from "@ark/node/protocol";
import { backupFolder } from "./backup_shelf.ts";
import { copyUnsealed } from "./backup_seal.ts";
import { carryForward, forgetUsable, sameHistory } from "./carry_forward.ts";
import { keepOwner, syncFile, syncFolder } from "./durable_files.ts";
import { makeBackup, makeFolder, why } from "./make_backup.ts";
import { type BackupContents, dropNotes, readBackup, refuseNoBackup } from "./read_backup.ts";
import { BUSY_TIMEOUT_MS, SqliteConnection } from "./sqlite_connection.ts";
import { StoreError } from "./store_error.ts";

/** What {@linkcode restoreDatabase} works on. Nobody else may have the database open. */
export interface RestoreOptions {
  /** The database that is replaced; it may be missing. */
  database: string;
  /** The backup; it is only read. */
  backup: string;
  /** Looks at the backup before anything is changed; what it throws as a {@linkcode StoreError} ends the sentence. */
  accept?(contents: BackupContents): Promise<void>;
}

/** What a restore did. */
export interface RestoredDatabase {
  /** What was in the backup. */
  contents: BackupContents;
  /** Where the database of before is, or null where there was none. */
  replaced: string | null;
  /** What the owner should know, as sentences. */
  notes: string[];
}

/** End of the name of a database on its way into its place. */
const STAGED = ".restoring";

/**
 * Puts a backup in the place of the database. What is replaced is kept as another backup, and what must not be forgotten of
 * it is taken over. At every moment the file is the old database or the new one, as a whole.
 *
 * @throws {StoreError} with one sentence; the database is as it was then.
 */
export async function restoreDatabase({ database, backup, accept }: RestoreOptions): Promise<RestoredDatabase> {
  const staged = `${database}${STAGED}`;
  let replaced: string | null = null;
  try {
    await refuseNoBackup(backup);
    await clearStaged(database);
    const kind = await copyUnsealed(backup, staged);
    const contents = await withSqlite(staged, async (sqlite) => {
      const contents = await readBackup(sqlite, kind);
      await accept?.(contents);
      sqlite.exec("PRAGMA journal_mode = DELETE");
      return contents;
    });
    replaced = await keep(database);
    const notes = await withSqlite(staged, (sqlite) => prepare(sqlite, { database, replaced }));
    await syncFile(staged);
    await keepOwner(staged, { like: dirname(database) });
    await settle(database, { damaged: replaced?.endsWith(".db") === false });
    await Deno.rename(staged, database);
    await syncFolder(dirname(database));
    return { contents, replaced, notes };
  } catch (error) {
    // The database is still in its place, so what was kept of it is one copy too many.
    if (replaced !== null) await Deno.remove(replaced, { recursive: true }).catch(() => {});
    const reason = error instanceof StoreError ? error.message : why(error);
    throw new StoreError(`Cannot restore ${backup}: ${reason}; nothing was changed`, { cause: error });
  } finally {
    await clearStaged(database);
  }
}

/** Removes what a crash left of a restore. Only whoever has the data directory may call it. */
export async function clearStaged(database: string): Promise<void> {
  const folder = dirname(database);
  // SQLite's own files beside it, too, whatever it calls them.
  const names = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name } of names) {
    if (name.startsWith(`${basename(database)}${STAGED}`)) await Deno.remove(join(folder, name)).catch(() => {});
  }
}

async function copy(from: string, to: string): Promise<void> {
  using source = await Deno.open(from);
  using target = await Deno.open(to, { write: true, createNew: true, mode: 0o600 });
  const block = new Uint8Array(1 << 20);
  for (let count = await source.read(block); count !== null; count = await source.read(block)) {
    for (let done = 0; done < count;) done += await target.write(block.subarray(done, count));
  }
}

async function withSqlite<T>(path: string, work: (sqlite: SqliteConnection) => T | Promise<T>): Promise<T> {
  const sqlite = new SqliteConnection(path);
  try {
    sqlite.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON`);
    return await work(sqlite);
  } finally {
    sqlite.close();
  }
}

/** Keeps the database that is replaced: as a backup, or, where SQLite cannot read it, its files as they are in a folder. */
async function keep(database: string): Promise<string | null> {
  const info = await Deno.stat(database).catch(() => null);
  if (info === null || info.size === 0) return null;
  try {
    return (await makeBackup({ database, reason: "replaced" })).path;
  } catch (error) {
    if (!reasonOf(error).endsWith("the database is damaged")) {
      throw new StoreError(`the present database could not be kept first (${reasonOf(error)})`, { cause: error });
    }
  }
  const folder = join(backupFolder(database), `damaged-${new Date().toISOString().replaceAll(/[:.]/g, "")}`);
  await makeFolder(dirname(folder));
  await makeFolder(folder);
  try {
    for (const suffix of ["", "-wal", "-journal"]) {
      const from = database + suffix;
      if (!await Deno.stat(from).then(({ isFile }) => isFile, () => false)) continue;
      const to = join(folder, basename(from));
      await copy(from, to);
      await syncFile(to);
      await keepOwner(to, { like: folder });
    }
    await syncFolder(folder);
  } catch (error) {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    throw error;
  }
  return folder;
}

function prepare(
  sqlite: SqliteConnection,
  { database, replaced }: { database: string; replaced: string | null },
): string[] {
  const notes: string[] = [];
  const readable = replaced?.endsWith(".db") === true;
  if (readable) sqlite.run("ATTACH ? AS now", replaced);
  // Not IMMEDIATE, which would open what is attached for writing, too.
  sqlite.exec("BEGIN");
  try {
    if (readable) {
      if (!sameHistory(sqlite)) {
        throw new StoreError(
          "its audit log and the one here have different entries, so it is of another node, or this one began anew " +
            `since; if it is the right one, move ${database} and audit.log away and do this again`,
        );
      }
      notes.push(...carryForward(sqlite).map((what) => `It is not known in the restored database ${what}.`));
    } else {
      forgetUsable(sqlite);
      notes.push(
        `${
          replaced === null ? "There was no database here" : "The present database is damaged"
        }, so it is not known what ` +
          "changed since the backup: open invitations were ended; look with 'ark-node peers' and 'ark-node keys' whether " +
          "anything is there that you took back since.",
      );
    }
    dropNotes(sqlite);
    sqlite.exec("COMMIT");
  } catch (error) {
    sqlite.rollback();
    throw error;
  }
  if (readable) sqlite.exec("DETACH now");
  sqlite.exec("VACUUM");
  return notes;
}

/** Leaves nothing beside the database that SQLite would play into the one that comes in its place. */
async function settle(database: string, { damaged }: { damaged: boolean }): Promise<void> {
  if (!await Deno.stat(database).then(() => true, () => false)) return await removeLogs(database);
  if (damaged) return await removeLogs(database);
  await withSqlite(database, (sqlite) => {
    // Also takes what is in the log beside the database into it, and fails where another program has it open.
    const [mode] = sqlite.all<{ journal_mode: string }>("PRAGMA journal_mode = DELETE");
    if (mode?.journal_mode !== "delete") {
      throw new StoreError("another program is using the database; end that one first");
    }
  });
  if (await Deno.stat(`${database}-wal`).then(() => true, () => false)) {
    throw new StoreError("another program is using the database; end that one first");
  }
}

async function removeLogs(database: string): Promise<void> {
  for (const suffix of ["-wal", "-shm", "-journal"]) await Deno.remove(database + suffix).catch(() => {});
}
