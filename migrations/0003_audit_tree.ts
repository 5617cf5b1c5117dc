import { type Kysely, sql } from "kysely";

/** Tree, checkpoints and pruning of the audit log, entries that stand for several acts, and what a witness remembers. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE audit_entries ADD COLUMN count INTEGER`.execute(db);
  await sql`
    CREATE TABLE audit_tiles (
      level INTEGER NOT NULL,
      number INTEGER NOT NULL,
      hashes BLOB NOT NULL,
      root BLOB NOT NULL,
      PRIMARY KEY (level, number)
    ) STRICT`.execute(db);
  await sql`
    CREATE TABLE audit_checkpoints (
      size INTEGER NOT NULL PRIMARY KEY,
      note TEXT NOT NULL,
      cosignatures TEXT NOT NULL
    ) STRICT`.execute(db);
  await sql`
    CREATE TABLE audit_prunes (
      seq INTEGER NOT NULL PRIMARY KEY,
      hash TEXT NOT NULL,
      pruned_at TEXT NOT NULL
    ) STRICT`.execute(db);
  await sql`
    CREATE TABLE witnessed_logs (
      node_id TEXT NOT NULL PRIMARY KEY,
      size INTEGER NOT NULL,
      note TEXT NOT NULL,
      seen_at TEXT NOT NULL,
      contradiction TEXT,
      contradicted_at TEXT
    ) STRICT, WITHOUT ROWID`.execute(db);
}
