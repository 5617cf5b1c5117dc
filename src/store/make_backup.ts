import { dirname, join } from "node:path";
import { reasonOf } from "@ark/node/protocol";
import { backupFolder, type BackupReason, newBackupPath, pruneBackups } from "./backup_shelf.ts";
import { seal } from "./backup_seal.ts";
import { keepOwner, syncFolder } from "./durable_files.ts";
import { BUSY_TIMEOUT_MS, SqliteConnection } from "./sqlite_connection.ts";
import { StoreError } from "./store_error.ts";

/** Files beside a database whose form may change with the program's version; they are small, and no secrets. */
export const FILES_IN_BACKUPS: readonly string[] = ["approved_peers.json", "copies.json"];

/** Most bytes of a file that goes into a backup beside the database. */
const FILE_BYTES = 16 << 20;

/** SQLite's words where it cannot write beside a database. */
const UNWRITABLE_REGEXP = /unable to open database file|readonly database/;

/** What a backup is to be. */
export interface BackupOptions {
  /** The database. Another process, or this one, may have it open and write to it. */
  database: string;
  /** Why it is made. */
  reason: BackupReason;
  /** Where to; a file that must not be there yet. Without it one in the folder of backups, where old ones make way. */
  file?: string;
  /** Names of further files beside the database that go into it. */
  files?: readonly string[];
  /** The node's id, where it is known: a backup of one node is not restored for another one. */
  node?: string | null;
}

/** A backup that was made. */
export interface MadeBackup {
  /** Where it is. */
  path: string;
  /** Number of the last step of the database's history. */
  step: number;
  /** Bytes. */
  bytes: number;
}

/**
 * Copies a database as it is at one moment, with the small files beside it, into one SQLite file that is durable, whole and
 * for its owner only when this returns. The database itself is only read. A crash leaves a `.part` and nothing else.
 *
 * @throws {StoreError} with one sentence; nothing is left of the backup then.
 */
export async function makeBackup(options: BackupOptions): Promise<MadeBackup> {
  const { database } = options;
  if (!await Deno.stat(database).then(({ isFile }) => isFile, () => false)) {
    throw new StoreError(`Cannot make a backup: there is no database ${database}`);
  }
  try {
    return await backupFrom(database, options).catch((error) => {
      if (!UNWRITABLE_REGEXP.test(reasonOf(error)) || options.file === undefined) throw error;
      return backupOfCopy(options.file, options);
    });
  } catch (error) {
    throw error instanceof StoreError ? error : new StoreError(`Cannot make a backup of ${database}: ${why(error)}`);
  }
}

async function backupFrom(path: string, options: BackupOptions): Promise<MadeBackup> {
  await using cleanup = new AsyncDisposableStack();
  const sqlite = cleanup.adopt(new SqliteConnection(path), (connection) => connection.close());
  sqlite.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF`);
  return await backupOf(sqlite, options);
}

/**
 * A disk that fails is often mounted for reading only, and SQLite wants to write beside the database even then. Nobody else
 * can write there either, so its files are copied to where the backup is to be.
 */
async function backupOfCopy(file: string, options: BackupOptions): Promise<MadeBackup> {
  const copy = `${file}.${crypto.randomUUID().slice(0, 8)}.part`;
  try {
    for (const suffix of ["", "-wal"]) {
      if (!await Deno.stat(options.database + suffix).then(({ isFile }) => isFile, () => false)) continue;
      using source = await Deno.open(options.database + suffix);
      const target = await Deno.open(copy + suffix, { write: true, createNew: true, mode: 0o600 });
      await source.readable.pipeTo(target.writable);
    }
    return await backupFrom(copy, options);
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) await Deno.remove(copy + suffix).catch(() => {});
  }
}

/** As {@linkcode makeBackup}, by a connection that is open. Throws what SQLite and the system throw. */
export async function backupOf(sqlite: SqliteConnection, options: BackupOptions): Promise<MadeBackup> {
  const { database, reason, file, files = [], node = null } = options;
  const step = stepOf(sqlite);
  const folder = file === undefined ? backupFolder(database) : dirname(file);
  if (file === undefined) await makeFolder(folder);
  const path = file ?? await newBackupPath(folder, { step, reason });
  if (await Deno.lstat(path).then(() => true, () => false)) {
    throw new StoreError(`Cannot make a backup: ${path} is there already, so choose another name`);
  }
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  try {
    // Made before SQLite does, so that no moment passes in which others can read it. SQLite wants it to be empty.
    (await Deno.open(part, { write: true, createNew: true, mode: 0o600 })).close();
    sqlite.run("VACUUM INTO ?", part);
    await annotate(part, {
      about: { made_at: new Date().toISOString(), reason, step: String(step), ...node === null ? {} : { node } },
      files: await filesBeside(dirname(database), [...FILES_IN_BACKUPS, ...files]),
    });
    await seal(part);
    if (file === undefined) await keepOwner(part, { like: folder });
    await Deno.rename(part, path);
  } finally {
    await Deno.remove(part).catch(() => {});
    await Deno.remove(`${part}-journal`).catch(() => {});
  }
  await syncFolder(folder);
  if (file === undefined) await pruneBackups(folder, { keep: path });
  return { path, step, bytes: (await Deno.stat(path)).size };
}

/** Makes the folder of backups, for the owner of the data directory only. */
export async function makeFolder(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await keepOwner(folder, { like: dirname(folder) });
}

/** Number of the last step that a database has behind it; 0 for none. */
export function stepOf(sqlite: SqliteConnection): number {
  const [last] = stepNames(sqlite).slice(-1);
  return last === undefined ? 0 : Number(/^\d{1,4}/.exec(last)?.[0] ?? 0);
}

/** Names of the steps that a database has behind it, in their order. */
export function stepNames(sqlite: SqliteConnection): string[] {
  const [table] = sqlite.all("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kysely_migration'");
  if (table === undefined) return [];
  return sqlite.all<{ name: string }>("SELECT name FROM kysely_migration ORDER BY name").map(({ name }) => name);
}

/** What went wrong, as the end of a sentence that says what to do. */
export function why(error: unknown): string {
  const reason = reasonOf(error);
  if (/disk is full|No space left|Disk quota|quota exceeded/.test(reason)) {
    return "the disk has no room for it; free some space and try again";
  }
  if (UNWRITABLE_REGEXP.test(reason)) return "its folder cannot be written; name a file on another disk";
  if (/database is locked/.test(reason)) return "another program is using the database; end that one first";
  if (/malformed|not a database|failed its check/.test(reason)) return "the database is damaged";
  return reason;
}

/** Notes in the copy what it is, and puts the files into it. */
async function annotate(
  part: string,
  { about, files }: { about: Record<string, string>; files: ReadonlyMap<string, Uint8Array> },
): Promise<void> {
  using stack = new DisposableStack();
  const sqlite = stack.adopt(new SqliteConnection(part), (connection) => connection.close());
  // A crash leaves a part that nobody looks at, so nothing of it has to be safe before the whole is.
  sqlite.exec(`PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; BEGIN;
    CREATE TABLE ark_backup (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE ark_backup_files (name TEXT NOT NULL PRIMARY KEY, content BLOB NOT NULL) STRICT`);
  for (const [name, value] of Object.entries(about)) sqlite.run("INSERT INTO ark_backup VALUES (?, ?)", name, value);
  for (const [name, content] of files) sqlite.run("INSERT INTO ark_backup_files VALUES (?, ?)", name, content);
  sqlite.exec("COMMIT");
  // One that cannot be restored is worse than none.
  const [found] = sqlite.all<{ quick_check: string }>("PRAGMA quick_check(1)");
  if (found?.quick_check !== "ok") throw new Error("the copy failed its check");
  await Promise.resolve();
}

async function filesBeside(folder: string, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of names) {
    const path = join(folder, name);
    const info = await Deno.stat(path).catch(() => null);
    if (info === null || !info.isFile || info.size > FILE_BYTES) continue;
    files.set(name, await Deno.readFile(path));
  }
  return files;
}
