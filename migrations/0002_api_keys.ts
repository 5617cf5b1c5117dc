import { type Kysely, sql } from "kysely";

/** Keys of the owner's own programs, by the SHA-256 of each. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE api_keys (
      id TEXT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL,
      hash TEXT NOT NULL UNIQUE,
      created_at TEXT NOT NULL,
      expires_at TEXT,
      revoked_at TEXT,
      last_used_at TEXT,
      models TEXT NOT NULL,
      max_requests_per_minute INTEGER,
      max_tokens_per_day INTEGER,
      max_concurrent_requests INTEGER,
      local_only INTEGER NOT NULL,
      day_began_at TEXT,
      day_tokens INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`.execute(db);
}
