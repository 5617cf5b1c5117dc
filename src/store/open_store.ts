import { reasonOf } from "@ark/node/protocol";
import { Migrator } from "kysely/migration";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { backupFolder, listBackups } from "./backup_shelf.ts";
import { backupOf, stepNames, why } from "./make_backup.ts";
import { BUSY_TIMEOUT_MS, SqliteConnection } from "./sqlite_connection.ts";
import { SqliteStore, type Store } from "./store.ts";
import { StoreError } from "./store_error.ts";

/** Largest file that is checked page by page at every start: some 100 ms. */
const QUICK_CHECK_BYTES = 64 << 20;

/** SQLite's own words for its result codes: Deno's `node:sqlite` hands on the text, not the number. */
const DAMAGED_REGEXP = /file is not a database|database disk image is malformed|malformed database schema/;
const BUSY_REGEXP = /database is locked/;

/** Options of {@linkcode openStore}. */
export interface OpenStoreOptions {
  /** Told where the backup is that was made before the database of an older program is changed. */
  backedUp?: (path: string) => void;
}

/**
 * Opens the database, makes it where there is none, and lifts it to the present schema. The file gets mode 0600; its
 * directory must exist.
 *
 * @param path A file, or `:memory:`.
 * @throws {StoreError} Where the file is no database of ours, is damaged, in use, or newer than this program.
 */
export async function openStore(path: string, { backedUp }: OpenStoreOptions = {}): Promise<Store> {
  await using cleanup = new AsyncDisposableStack();
  try {
    if (path !== ":memory:") await keepPrivate(path);
    const sqlite = cleanup.adopt(new SqliteConnection(path), (connection) => connection.close());
    sqlite.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF`);
    // Both before the first pragma that writes: what is refused stays as it is.
    await check(sqlite, path);
    await refuseNewer(sqlite, path);
    const backup = await backUpOlder(sqlite, path);
    if (backup !== null) backedUp?.(backup);
    // A checkpoint holds up the event loop: every 100 pages instead of SQLite's 1,000 made the longest stall 1.3 ms instead
    // of 5.5 ms, at the same mean.
    sqlite.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
      PRAGMA wal_autocheckpoint = 100`);
    const store = new SqliteStore(sqlite, path === ":memory:" ? null : path);
    await migrate(store);
    cleanup.move();
    return store;
  } catch (error) {
    throw error instanceof StoreError ? error : new StoreError(sentence(path, error), { cause: error });
  }
}

/** Makes the file before SQLite does, so that no moment passes in which others can read it. */
async function keepPrivate(path: string): Promise<void> {
  const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  file.close();
  if (Deno.build.os !== "windows") await Deno.chmod(path, 0o600);
}

async function check(sqlite: SqliteConnection, path: string): Promise<void> {
  if (path !== ":memory:" && (await Deno.stat(path)).size > QUICK_CHECK_BYTES) return;
  const [found] = sqlite.all<{ quick_check: string }>("PRAGMA quick_check(1)");
  if (found?.quick_check !== "ok") throw new StoreError(damaged(path));
}

async function refuseNewer(sqlite: SqliteConnection, path: string): Promise<void> {
  const unknown = stepNames(sqlite).findLast((name) => !Object.hasOwn(MIGRATIONS, name));
  if (unknown === undefined) return;
  const steps = Object.keys(MIGRATIONS).length;
  const backups = await listBackups(backupFolder(path)).catch(() => []);
  const before = backups.find(({ step, reason }) => reason !== "replaced" && step <= steps);
  throw new StoreError(
    `Cannot open the database ${path}: a newer ark-node made it (step ${unknown}); install that version again, ` +
      (before === undefined
        ? "or give this one another data directory"
        : `or go back with 'ark-node restore ${before.name}', the backup of ${before.madeAt.slice(0, 10)}`),
  );
}

/** Nothing is changed of a database that an older program made before there is a copy of it as it was. */
async function backUpOlder(sqlite: SqliteConnection, path: string): Promise<string | null> {
  const done = stepNames(sqlite);
  if (path === ":memory:" || done.length === 0 || done.length === Object.keys(MIGRATIONS).length) return null;
  try {
    return (await backupOf(sqlite, { database: path, reason: "upgrade" })).path;
  } catch (error) {
    throw new StoreError(
      `Cannot open the database ${path}: an older ark-node made it, and the backup that is made before it is changed ` +
        `failed, in ${backupFolder(path)}: ${why(error)}; nothing was changed`,
      { cause: error },
    );
  }
}

async function migrate(store: SqliteStore): Promise<void> {
  const migrator = new Migrator({
    db: store,
    provider: { getMigrations: () => Promise.resolve({ ...MIGRATIONS }) },
    // Their order is that of their names. By the times at which they ran, a clock that was set back between two upgrades
    // would be the end of the database.
    allowUnorderedMigrations: true,
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}

function sentence(path: string, error: unknown): string {
  const reason = reasonOf(error);
  if (DAMAGED_REGEXP.test(reason)) return damaged(path);
  if (BUSY_REGEXP.test(reason)) {
    return `Cannot open the database ${path}: another program is using it; end that one first`;
  }
  return `Cannot open the database ${path}: ${reason}`;
}

function damaged(path: string): string {
  return `Cannot open the database ${path}: the file is damaged or is no SQLite database; it was left as it is, so ` +
    "put a backup in its place with 'ark-node restore --latest', or move it away";
}
