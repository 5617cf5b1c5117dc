import { Migrator } from "kysely/migration";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { stepNames } from "./make_backup.ts";
import { SqliteConnection } from "./sqlite_connection.ts";
import { SqliteStore } from "./store.ts";
import { StoreError } from "./store_error.ts";

/** What a backup says about itself, and the files that are in it. */
export interface BackupContents {
  /** Names of the steps of the database's history that it has behind it. */
  steps: readonly string[];
  /** Whether this program's history goes on from there. */
  older: boolean;
  /** Id of the node that it is of, or null where it does not say. */
  node: string | null;
  /** When it was made, RFC 3339, or null where it does not say. */
  madeAt: string | null;
  /** Files that lay beside the database, by name. */
  files: ReadonlyMap<string, Uint8Array>;
}

/** A column as SQLite tells it. */
interface Column {
  name: string;
  type: string;
  notnull: number;
  pk: number;
  hidden: number;
}

/** Tables of a backup that are no part of the database. */
const OWN_TABLES = ["ark_backup", "ark_backup_files"];
const FOREIGN = "it is no backup of an ark-node";

/**
 * Looks at what a file is, before it is read.
 *
 * @throws {StoreError} where it cannot be a backup. The message is the end of a sentence.
 */
export async function refuseNoBackup(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new StoreError("there is no such file");
    throw error;
  }
  if (!info.isFile) throw new StoreError("it is no file");
  const wal = await Deno.stat(`${path}-wal`).catch(() => null);
  if (wal !== null && wal.size > 0) {
    throw new StoreError("it is a database in use, and a part of it is in the file beside it that ends with -wal");
  }
}

/**
 * Reads a backup, every page of it, and compares its tables with what the program of then made.
 *
 * @throws {StoreError} where it is damaged, another program's, or newer than this one. The message is the end of a sentence.
 */
export async function readBackup(sqlite: SqliteConnection, kind: "sealed" | "bare"): Promise<BackupContents> {
  const [found] = sqlite.all<{ integrity_check: string }>("PRAGMA integrity_check(1)");
  if (found?.integrity_check !== "ok") throw new StoreError("it is damaged");
  const steps = stepNames(sqlite);
  const last = steps.at(-1);
  if (last === undefined) throw new StoreError(FOREIGN);
  const known = Object.keys(MIGRATIONS);
  const newer = steps.find((name) => !known.includes(name));
  if (newer !== undefined) {
    if (!/^\d{4}_\w+$/.test(newer)) throw new StoreError(FOREIGN);
    throw new StoreError(`a newer ark-node made it (step ${newer}), so install that version first`);
  }
  if (steps.some((name, index) => name !== known[index])) throw new StoreError(FOREIGN);
  const times = sqlite.all<{ timestamp: string }>("SELECT timestamp FROM kysely_migration");
  if (times.some(({ timestamp }) => Number.isNaN(Date.parse(timestamp)))) throw new StoreError("it is damaged");
  const expected = await tablesAfter(last);
  const odd = sqlite.all<{ type: string; sql: string | null }>(
    "SELECT type, sql FROM sqlite_schema WHERE type <> 'table' AND (type <> 'index' OR sql IS NOT NULL)",
  );
  // Triggers and views would be the words of another program in this one's mouth.
  if (odd.length > 0) throw new StoreError(FOREIGN);
  const tables = tablesOf(sqlite);
  if (kind === "bare" && tables.has("ark_backup")) throw new StoreError("a part of it is missing");
  const about = tables.delete("ark_backup") ? aboutOf(sqlite) : new Map<string, string>();
  const files = tables.delete("ark_backup_files") ? filesOf(sqlite) : new Map<string, Uint8Array>();
  // A table more does no harm: one that this program made once, before it was released, is in some of them.
  for (const [name, columns] of expected) if (tables.get(name) !== columns) throw new StoreError(FOREIGN);
  const older = steps.length < known.length;
  return { steps, older, node: about.get("node") ?? null, madeAt: about.get("made_at") ?? null, files };
}

/** Makes a backup the database that it was: what it says of itself goes. */
export function dropNotes(sqlite: SqliteConnection): void {
  sqlite.exec(OWN_TABLES.map((name) => `DROP TABLE IF EXISTS ${name};`).join(" "));
}

async function tablesAfter(last: string): Promise<Map<string, string>> {
  const sqlite = new SqliteConnection(":memory:");
  await using store = new SqliteStore(sqlite, null);
  const migrator = new Migrator({ db: store, provider: { getMigrations: () => Promise.resolve({ ...MIGRATIONS }) } });
  const { error } = await migrator.migrateTo(last);
  if (error !== undefined) throw error;
  return tablesOf(sqlite);
}

/** Tables of this program, with their columns as text. */
function tablesOf(sqlite: SqliteConnection): Map<string, string> {
  const tables = new Map<string, string>();
  const names = sqlite.all<{ name: string }>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'kysely\\_%' ESCAPE '\\'",
  );
  for (const { name } of names) {
    const columns = sqlite.all<Column>(
      'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid',
      name,
    );
    tables.set(name, JSON.stringify(columns));
  }
  return tables;
}

function aboutOf(sqlite: SqliteConnection): Map<string, string> {
  const rows = sqlite.all<Record<string, unknown>>("SELECT * FROM ark_backup LIMIT 64");
  const texts = rows.filter(({ name, value }) => typeof name === "string" && typeof value === "string");
  return new Map(texts.map(({ name, value }) => [name as string, value as string]));
}

function filesOf(sqlite: SqliteConnection): Map<string, Uint8Array> {
  const rows = sqlite.all<Record<string, unknown>>("SELECT * FROM ark_backup_files LIMIT 64");
  const files = rows.filter(({ name, content }) => typeof name === "string" && content instanceof Uint8Array);
  return new Map(files.map(({ name, content }) => [name as string, content as Uint8Array]));
}
