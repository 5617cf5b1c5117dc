import { SqliteConnection, type SqlValue } from "./sqlite_connection.ts";

/** A connection of a thread's own to a database that is open elsewhere. It can only read, and sees what is committed. */
export class RowReader implements Disposable {
  readonly #sqlite: SqliteConnection;

  /** Opens the file of a {@linkcode Store}; throws where that cannot be done. */
  constructor(path: string) {
    this.#sqlite = new SqliteConnection(path, { readOnly: true });
  }

  /** Runs a query whose rows come as arrays, in the order of its columns. */
  arrays(sql: string, ...values: SqlValue[]): SqlValue[][] {
    return this.#sqlite.arrays(sql, ...values);
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.#sqlite.close();
  }
}
