import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

/** What a column can hold. */
export type SqlValue = string | number | bigint | null | Uint8Array;

/**
 * How long a statement waits for another process that holds the database, in milliseconds. It holds up the event loop,
 * and another process is rare: the data directory has a lock of its own.
 */
export const BUSY_TIMEOUT_MS = 2_000;

/** Statements of Kysely's that are kept; a program has some dozens. */
const MOST_KEPT = 128;

/** Deno has it, and its types do not say so yet. */
interface ArrayStatement extends StatementSync {
  setReturnArrays(enabled: boolean): void;
}

/** A row as an object costs several times one as an array. */
const RETURN_ARRAYS = true;

/** A statement as Kysely's SQLite driver wants it. */
interface KyselyStatement {
  readonly reader: boolean;
  all(values: readonly unknown[]): unknown[];
  run(values: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(values: readonly unknown[]): IterableIterator<unknown>;
}

/** `node:sqlite` in the shape that Kysely's driver expects, and the prepared statements of a batch. */
export class SqliteConnection {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();
  /** Kysely's, the one that was used longest ago first. */
  readonly #kept = new Map<string, KyselyStatement>();

  constructor(path: string, { readOnly = false }: { readOnly?: boolean } = {}) {
    this.#database = new DatabaseSync(path, { readOnly });
  }

  /**
   * For Kysely. The last statements are kept prepared: each takes memory that the garbage collector does not count, and so
   * does not hurry to give back.
   */
  prepare(sql: string): KyselyStatement {
    const known = this.#kept.get(sql);
    if (known !== undefined) this.#kept.delete(sql);
    const statement = known ?? this.#keepable(sql);
    this.#kept.set(sql, statement);
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return statement;
  }

  #keepable(sql: string): KyselyStatement {
    const statement = this.#database.prepare(sql);
    return {
      reader: statement.columns().length > 0,
      all: (values) => statement.all(...values as SQLInputValue[]),
      run: (values) => statement.run(...values as SQLInputValue[]),
      // One that is read row by row goes on while others run, the same question perhaps.
      iterate: (values) => this.#database.prepare(sql).iterate(...values as SQLInputValue[]),
    };
  }

  exec(sql: string): void {
    this.#database.exec(sql);
  }

  run(sql: string, ...values: SqlValue[]): void {
    this.#statement(sql).run(...values);
  }

  all<Row>(sql: string, ...values: SqlValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  arrays(sql: string, ...values: SqlValue[]): SqlValue[][] {
    const statement = this.#statement(sql) as ArrayStatement;
    statement.setReturnArrays(RETURN_ARRAYS);
    return statement.all(...values) as unknown as SqlValue[][];
  }

  /** Ends a failed transaction. SQLite may have ended it by itself: a full disk does that. */
  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
  }

  close(): void {
    this.#prepared.clear();
    this.#kept.clear();
    this.#database.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}
