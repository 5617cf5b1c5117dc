import { type Kysely, sql } from "kysely";

/** Pairing: nodes that the owner wants to hear nothing of, and invitations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE ignored_nodes (
      node_id TEXT NOT NULL PRIMARY KEY,
      why TEXT NOT NULL,
      since TEXT NOT NULL,
      until TEXT
    ) STRICT, WITHOUT ROWID`.execute(db);
  await sql`
    CREATE TABLE invitations (
      public_key TEXT NOT NULL PRIMARY KEY,
      created_ms INTEGER NOT NULL,
      expires_ms INTEGER NOT NULL,
      terms TEXT NOT NULL,
      used_ms INTEGER,
      used_by TEXT
    ) STRICT, WITHOUT ROWID`.execute(db);
}
