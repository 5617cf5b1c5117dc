import { Kysely, SqliteAdapter, SqliteDialect } from "kysely";
import type { SqliteConnection, SqlValue } from "./sqlite_connection.ts";
import type { Database } from "./schema.ts";

/**
 * The node's database. Queries are Kysely's, typed by {@linkcode Database}, and sit in the module that owns the noun.
 *
 * @internal
 */
export interface Store extends Kysely<Database>, AsyncDisposable {
  /** The file, or null where it is in memory only. */
  readonly path: string | null;
  /**
   * Runs `work` in one transaction on prepared statements, without Kysely's cost per query and without a pause in
   * between: `work` is synchronous, so it holds up the event loop and nothing else can slip into its transaction. It
   * waits for its turn behind Kysely's transactions. What `work` throws rolls everything back.
   */
  batch<T>(work: (statements: Statements) => T, options?: BatchOptions): Promise<T>;
  /**
   * Runs `work` while nothing else here uses the database: a thread writes by its {@linkcode RowWriter} meanwhile. So two
   * connections never wait for each other's locks, which would hold up the event loop. Keep it short.
   */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** Closes the database; end what uses it first. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options of {@linkcode Store.batch}. */
export interface BatchOptions {
  /**
   * False for what is durable elsewhere already and can be made anew: a loss of power may undo it, with everything that
   * was committed after it and is not durable by itself. Saves the wait for the disk.
   *
   * @default {true}
   */
  durable?: boolean;
}

/** Prepared statements of a {@linkcode Store.batch}, kept by their text: write values as `?`, never into the text. */
export interface Statements {
  /** Runs a statement that returns no rows. */
  run(sql: string, ...values: SqlValue[]): void;
  /** Runs a query; the caller vouches for the rows' type. */
  all<Row>(sql: string, ...values: SqlValue[]): Row[];
  /** Runs a query whose rows come as arrays, in the order of its columns: for very many rows. Its text is its own. */
  arrays(sql: string, ...values: SqlValue[]): SqlValue[][];
}

/**
 * SQLite takes changes of its tables back with a transaction, and Kysely does not count on it: it would run the steps of an
 * upgrade outside of one, and a process that is killed between a step and its note would leave a database that never opens
 * again.
 */
class TransactionalDialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}

class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** The one implementation of {@linkcode Store}. */
export class SqliteStore extends Kysely<Database> implements Store {
  readonly path: string | null;
  readonly #sqlite: SqliteConnection;

  constructor(sqlite: SqliteConnection, path: string | null) {
    super({ dialect: new TransactionalDialect({ database: sqlite }) });
    this.#sqlite = sqlite;
    this.path = path;
  }

  batch<T>(work: (statements: Statements) => T, options: BatchOptions = {}): Promise<T> {
    // Kysely's connection is taken for its lock only: whoever holds it is alone with the database.
    return this.alone(() => {
      try {
        return Promise.resolve(batch(this.#sqlite, work, options));
      } catch (error) {
        return Promise.reject(error);
      }
    });
  }

  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.connection().execute(work);
  }
}

/** Runs `work` in a transaction of a connection. */
export function batch<T>(
  sqlite: SqliteConnection,
  work: (statements: Statements) => T,
  { durable = true }: BatchOptions,
): T {
  if (!durable) sqlite.exec("PRAGMA synchronous = NORMAL");
  try {
    sqlite.exec("BEGIN IMMEDIATE");
    const result = work(sqlite);
    sqlite.exec("COMMIT");
    return result;
  } catch (error) {
    sqlite.rollback();
    throw error;
  } finally {
    if (!durable) sqlite.exec("PRAGMA synchronous = FULL");
  }
}
