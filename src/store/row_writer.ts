import { BUSY_TIMEOUT_MS, SqliteConnection } from "./sqlite_connection.ts";
import { batch, type BatchOptions, type Statements } from "./store.ts";

/**
 * A connection of a thread's own that writes to a database that is open elsewhere. Whoever opened it keeps everybody else
 * from it meanwhile, by {@linkcode Store.alone}.
 */
export class RowWriter implements Disposable {
  readonly #sqlite: SqliteConnection;

  /** Opens the file of a {@linkcode Store}; throws where that cannot be done. */
  constructor(path: string) {
    this.#sqlite = new SqliteConnection(path);
    this.#sqlite.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL;
      PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 100`);
  }

  /** As {@linkcode Store.batch}, at once: what `work` throws rolls everything back and is thrown. */
  batch<T>(work: (statements: Statements) => T, options: BatchOptions = {}): T {
    return batch(this.#sqlite, work, options);
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.#sqlite.close();
  }
}
