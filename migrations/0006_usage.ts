import { type Kysely, sql } from "kysely";

/** Tokens that peers used in the last 24 hours, so that a restart is no reset. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE peer_usage (
      node_id TEXT NOT NULL PRIMARY KEY,
      saved_at INTEGER NOT NULL,
      slots TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`.execute(db);
}
