import type { SqlValue, Store } from "@ark/node/store";
import type { AuditEntry } from "./audit_record.ts";
import { AuditTree } from "./audit_tree.ts";
import { entryFrom, FIELDS, GENESIS, type Head, type Placed } from "./chain.ts";

const COLUMNS = FIELDS.join(", ");
const INSERT = `INSERT INTO audit_entries (${COLUMNS}) VALUES (${FIELDS.map(() => "?").join(", ")})`;
/** Rows behind a number, at most so many, with the columns in the order of {@linkcode FIELDS}. */
export const ROWS = `SELECT ${COLUMNS} FROM audit_entries WHERE seq > ? ORDER BY seq LIMIT ?`;

/**
 * The table `audit_entries`: entries in, entries out, in the order of `seq`. Nothing is ever updated, and only pruning
 * deletes. The tree grows in the same transactions.
 */
export class EntriesTable {
  readonly #store: Store;
  /** Tree of the entries in the table; see {@linkcode load}. */
  tree: AuditTree;
  /** What the first entry hangs on: the last pruned one, where entries were pruned. */
  base: Head = GENESIS;

  constructor(store: Store) {
    this.#store = store;
    this.tree = new AuditTree(store);
  }

  /** The database's file, for threads; null where it is in memory only. */
  get path(): string | null {
    return this.#store.path;
  }

  /** Reads where the table begins, and its tree. Before that nothing may be inserted. */
  async load(): Promise<void> {
    const pruned = await this.#store.selectFrom("audit_prunes").select(["seq", "hash"]).orderBy("seq", "desc").limit(1)
      .executeTakeFirst();
    this.base = pruned ?? GENESIS;
    const tree = new AuditTree(this.#store);
    await tree.load(this, (await this.last(1))[0]?.seq ?? this.base.seq);
    this.tree = tree;
  }

  /**
   * Adds entries that follow the last one in one transaction. They are durable in the file, out of which a start after a
   * loss of power puts them here again, so the disk is not waited for.
   */
  async insert(placed: readonly Placed[]): Promise<void> {
    if (placed.length === 0) return;
    const edge = await this.#store.batch((statements) => {
      for (const { entry } of placed) statements.run(INSERT, ...FIELDS.map((field) => entry[field]));
      return this.tree.grown(placed, statements);
    }, { durable: false });
    this.tree.commit(edge);
  }

  /** The last entries, at most `count`, in the order of `seq`. */
  async last(count: number): Promise<AuditEntry[]> {
    const rows = await this.#store.selectFrom("audit_entries").selectAll().orderBy("seq", "desc").limit(count)
      .execute();
    return rows.reverse().map(entryFrom);
  }

  /** The entry of that number. */
  async get(seq: number): Promise<AuditEntry | undefined> {
    const row = await this.#store.selectFrom("audit_entries").selectAll().where("seq", "=", seq).executeTakeFirst();
    return row === undefined ? undefined : entryFrom(row);
  }

  /** The entries behind `seq`, at most `count`. */
  async after(seq: number, count: number): Promise<AuditEntry[]> {
    const rows = await this.#store.selectFrom("audit_entries").selectAll().where("seq", ">", seq).orderBy("seq")
      .limit(count).execute();
    return rows.map(entryFrom);
  }

  /** The same as arrays with the columns in the order of {@linkcode FIELDS}: a third of the time. */
  rowsAfter(seq: number, count: number): Promise<SqlValue[][]> {
    return this.#store.batch((statements) => statements.arrays(ROWS, seq, count));
  }

  /** Number of the last entry that was made before a time, RFC 3339; 0 for none. */
  async lastBefore(time: string): Promise<number> {
    const row = await this.#store.selectFrom("audit_entries").select("seq").where("at", ">=", time).orderBy("seq")
      .limit(1).executeTakeFirst();
    return (row?.seq ?? this.tree.size + 1) - 1;
  }

  /** Removes the entries up to `head`, which stays known as what the next one hangs on. In one transaction. */
  async prune(head: Head): Promise<void> {
    await this.#store.batch((statements) => {
      statements.run(
        "INSERT INTO audit_prunes (seq, hash, pruned_at) VALUES (?, ?, ?)",
        head.seq,
        head.hash,
        new Date().toISOString(),
      );
      statements.run("DELETE FROM audit_entries WHERE seq <= ?", head.seq);
    });
    this.base = head;
  }
}
