import { type Kysely, sql } from "kysely";

/** Where approved peers answered last. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE last_addresses (
      node_id TEXT NOT NULL PRIMARY KEY,
      addresses TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`.execute(db);
}
