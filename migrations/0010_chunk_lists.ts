import { type Kysely, sql } from "kysely";

/** Hashes of the pieces of model files, so that a neighbour who fetches one can check each piece by itself. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE chunk_lists (
      digest TEXT PRIMARY KEY NOT NULL,
      size INTEGER NOT NULL,
      hashes BLOB NOT NULL
    ) STRICT, WITHOUT ROWID`.execute(db);
}
