import { type Generated, Kysely, PostgresDialect, type RawBuilder, sql, SqliteDialect } from "kysely";
import { BUSY_TIMEOUT_MS, SqliteConnection } from "./sqlite_connection.ts";

/** One registration as a registry keeps it. */
export interface RegistryEntry {
  /** Who. */
  nodeId: string;
  /** The number that the node gave it. */
  seq: number;
  /** When it ends, in milliseconds since 1970. */
  notAfter: number;
  /** Whether it is told: one by which a node takes itself out is kept, so that an older one cannot come back. */
  open: boolean;
  /** Names of models, each once. */
  models: readonly string[];
  /** The signed statement, as JSON. */
  statement: string;
}

/** Which registrations are looked for. */
export interface RegistryQuery {
  /** Those that end after this time count, in milliseconds since 1970. */
  now: number;
  /** Ids behind this one, in their order; absent for the first. */
  after?: string;
  /** A model's name, or the beginning of one with `*` behind it; absent for all. */
  model?: string;
  /** Most statements. */
  limit: number;
}

/** A page of what was found. */
export interface RegistryRows {
  /** The statements as they were given, with commas between: as many as were asked for, or fewer where some have ended. */
  statements: string;
  /** Id behind which the next page begins, or null where there is none. */
  next: string | null;
}

/** What a registry keeps: in SQLite, or in PostgreSQL by the same queries. */
export interface RegistryStore extends AsyncDisposable {
  /** Keeps a registration, unless one with the same number or a higher one is there: then its number is returned. */
  put(entry: RegistryEntry): Promise<number | null>;
  /** The statement of a node that counts still, or undefined. */
  get(nodeId: string, now: number): Promise<string | undefined>;
  /** Statements in the order of the ids. */
  list(query: RegistryQuery): Promise<RegistryRows>;
  /** How many are kept. */
  count(): Promise<number>;
  /** Removes those that have ended, at most 10,000 at a time; returns how many. */
  expire(now: number): Promise<number>;
}

interface RegistryDatabase {
  registrations: {
    node_id: string;
    seq: number;
    not_after: number;
    /** 1 or 0. */
    open: number;
    statement: string;
    added: Generated<number>;
  };
  registered_models: { model: string; node_id: string };
}

/** A pattern finds no more different names than these. */
const MOST_NAMES = 64;
const MOST_EXPIRED = 10_000;

/**
 * Opens the database of a registry, and makes its tables where there are none.
 *
 * @param where path of a file, or `postgres://…`.
 */
export async function openRegistryStore(where: string): Promise<RegistryStore> {
  const postgres = /^postgres(ql)?:\/\//.test(where);
  const dialect = postgres ? await postgresAt(where) : new SqliteDialect({ database: sqliteAt(where) });
  const db = new Kysely<RegistryDatabase>({ dialect });
  try {
    // Ids and names are compared by their bytes, in whatever language the server was set up.
    const text = sql.raw(postgres ? `TEXT COLLATE "C"` : "TEXT");
    const whole = sql.raw(postgres ? "BIGINT" : "INTEGER");
    // A page of ids is then a few pages of the file, and not as many as it has rows.
    const clustered = sql.raw(postgres ? "" : " WITHOUT ROWID");
    await sql`CREATE TABLE IF NOT EXISTS registrations (
      node_id ${text} PRIMARY KEY, seq ${whole} NOT NULL, not_after ${whole} NOT NULL, open ${whole} NOT NULL,
      statement TEXT NOT NULL, added ${whole} NOT NULL DEFAULT 0)${clustered}`.execute(db);
    await sql`CREATE TABLE IF NOT EXISTS registered_models (
      model ${text} NOT NULL, node_id ${text} NOT NULL, PRIMARY KEY (model, node_id))${clustered}`.execute(db);
    await sql`CREATE INDEX IF NOT EXISTS registrations_by_end ON registrations (not_after)`.execute(db);
    await sql`CREATE INDEX IF NOT EXISTS models_by_node ON registered_models (node_id)`.execute(db);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return new KyselyRegistryStore(db);
}

/** Its driver is loaded where it is needed only: hardly any node is such a registry. */
async function postgresAt(where: string): Promise<PostgresDialect> {
  const { Pool } = await import("pg");
  const pool = new Pool({ connectionString: where, max: 4 });
  // A connection that breaks while nobody uses it is replaced by the next query; unheard, it would end the process.
  pool.on("error", () => {});
  return new PostgresDialect({ pool });
}

function sqliteAt(path: string): SqliteConnection {
  const sqlite = new SqliteConnection(path);
  sqlite.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF; PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL`);
  return sqlite;
}

class KyselyRegistryStore implements RegistryStore {
  readonly #db: Kysely<RegistryDatabase>;

  constructor(db: Kysely<RegistryDatabase>) {
    this.#db = db;
  }

  put({ nodeId, seq, notAfter, open, models, statement }: RegistryEntry): Promise<number | null> {
    return this.#db.transaction().execute(async (db) => {
      // In one statement, so that of two at once the older cannot win.
      const row = { seq, not_after: notAfter, open: open ? 1 : 0, statement };
      const { numInsertedOrUpdatedRows } = await db.insertInto("registrations").values({ node_id: nodeId, ...row })
        .onConflict((conflict) =>
          conflict.column("node_id").doUpdateSet(row)
            .where("registrations.seq", "<", seq)
        ).executeTakeFirst();
      if ((numInsertedOrUpdatedRows ?? 0n) === 0n) {
        const known = await db.selectFrom("registrations").select("seq").where("node_id", "=", nodeId)
          .executeTakeFirst();
        return Number(known?.seq ?? 0);
      }
      await db.deleteFrom("registered_models").where("node_id", "=", nodeId).execute();
      if (models.length > 0) {
        await db.insertInto("registered_models").values(models.map((model) => ({ model, node_id: nodeId }))).execute();
      }
      return null;
    });
  }

  async get(nodeId: string, now: number): Promise<string | undefined> {
    const row = await this.#db.selectFrom("registrations").select("statement").where("node_id", "=", nodeId)
      .where("not_after", ">", now).where("open", "=", 1).executeTakeFirst();
    return row?.statement;
  }

  async list({ now, after = "", model, limit }: RegistryQuery): Promise<RegistryRows> {
    // Ids come from an index alone, and the page is put together by the database: a thousand rows as objects of their own
    // would fill the memory with garbage.
    const { rows } = await sql<{ looked: number; last: string | null; statements: string | null }>`
      SELECT count(*) AS looked, max(page.node_id) AS last, string_agg(r.statement, ',' ORDER BY page.node_id)
        FILTER (WHERE r.not_after > ${now} AND r.open = 1) AS statements
      FROM (SELECT node_id FROM (${await this.#ids({ after, model, limit })}) AS found ORDER BY node_id LIMIT ${limit})
        AS page LEFT JOIN registrations AS r ON r.node_id = page.node_id`.execute(this.#db);
    const [row] = rows;
    return {
      statements: row?.statements ?? "",
      next: Number(row?.looked ?? 0) < limit ? null : row?.last ?? null,
    };
  }

  async #ids(
    { after, model, limit }: { after: string; model: string | undefined; limit: number },
  ): Promise<RawBuilder<unknown>> {
    if (model === undefined) {
      return sql`SELECT node_id FROM registrations WHERE node_id > ${after} ORDER BY node_id LIMIT ${limit}`;
    }
    const names = model.endsWith("*") ? await this.#names(model.slice(0, -1)) : [model];
    if (names.length === 0) return sql`SELECT node_id FROM registrations WHERE 1 = 0`;
    // Name by name, each by its index: all names in one question would sort every node that has any.
    return sql.join(
      names.map((name) =>
        sql`SELECT node_id FROM (SELECT node_id FROM registered_models WHERE model = ${name} AND node_id > ${after}
          ORDER BY node_id LIMIT ${limit}) AS one`
      ),
      sql` UNION `,
    );
  }

  async count(): Promise<number> {
    const { count } = await this.#db.selectFrom("registrations").select(({ fn }) => fn.countAll().as("count"))
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  expire(now: number): Promise<number> {
    return this.#db.transaction().execute(async (db) => {
      const ended = await db.selectFrom("registrations").select("node_id").where("not_after", "<=", now)
        .orderBy("not_after").limit(MOST_EXPIRED).execute();
      const ids = ended.map(({ node_id }) => node_id);
      for (let at = 0; at < ids.length; at += 500) {
        const some = ids.slice(at, at + 500);
        await db.deleteFrom("registered_models").where("node_id", "in", some).execute();
        await db.deleteFrom("registrations").where("node_id", "in", some).where("not_after", "<=", now).execute();
      }
      return ids.length;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#db.destroy();
  }

  /** Different names that begin so, by stepping through the index from one to the next. */
  async #names(beginning: string): Promise<string[]> {
    const { rows } = await sql<{ model: string }>`
      WITH RECURSIVE names(model, step) AS (
        SELECT min(model), 1 FROM registered_models WHERE model >= ${beginning}
        UNION ALL
        SELECT (SELECT min(m.model) FROM registered_models AS m WHERE m.model > names.model), step + 1 FROM names
        WHERE step < ${MOST_NAMES} AND substr(names.model, 1, ${beginning.length}) = ${beginning})
      SELECT model FROM names WHERE substr(model, 1, ${beginning.length}) = ${beginning}`.execute(this.#db);
    return rows.map(({ model }) => model);
  }
}
