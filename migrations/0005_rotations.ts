import { type Kysely, sql } from "kysely";

/** Keys that followed others: of peers, as they were heard of, and of this node. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE rotations (
      old_id TEXT NOT NULL PRIMARY KEY,
      new_id TEXT NOT NULL,
      seq INTEGER NOT NULL,
      state TEXT NOT NULL,
      chain TEXT NOT NULL,
      heard_at TEXT NOT NULL,
      decided_at TEXT
    ) STRICT, WITHOUT ROWID`.execute(db);
}
