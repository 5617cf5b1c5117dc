import { type Kysely, sql } from "kysely";

/** How often each model was asked for in each hour of the week, so that the next is loaded before it is asked for. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE demand (
      model TEXT NOT NULL,
      hour INTEGER NOT NULL CHECK (hour BETWEEN 0 AND 167),
      asked REAL NOT NULL,
      week INTEGER NOT NULL,
      PRIMARY KEY (model, hour)
    ) STRICT, WITHOUT ROWID`.execute(db);
}
