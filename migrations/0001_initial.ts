import { type Kysely, sql } from "kysely";

/** The first tables: audit log, digests of model files, revoked peers. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE audit_entries (
      seq INTEGER NOT NULL PRIMARY KEY,
      at TEXT NOT NULL,
      monotonic_ms REAL NOT NULL,
      kind TEXT NOT NULL,
      direction TEXT,
      peer TEXT,
      model TEXT,
      digest TEXT,
      prompt_tokens INTEGER,
      completion_tokens INTEGER,
      ms REAL,
      outcome TEXT,
      request TEXT,
      receipt TEXT,
      prev TEXT NOT NULL,
      hash TEXT NOT NULL
    ) STRICT`.execute(db);
  await sql`
    CREATE TABLE model_digests (
      path TEXT NOT NULL PRIMARY KEY,
      size INTEGER NOT NULL,
      mtime_ms INTEGER NOT NULL,
      digest TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`.execute(db);
  await sql`
    CREATE TABLE revoked_peers (
      node_id TEXT NOT NULL PRIMARY KEY,
      public_key TEXT NOT NULL,
      name TEXT NOT NULL,
      revoked_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`.execute(db);
}
