import { type Kysely, sql } from "kysely";

/** How far approved peers can be relied on. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE reputations (
      node_id TEXT NOT NULL PRIMARY KEY,
      saved_at INTEGER NOT NULL,
      record TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`.execute(db);
}
