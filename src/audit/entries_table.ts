import type { SqlValue, Store } from "@ark/node/store";
import type { AuditEntry } from "./audit_record.ts";
import { AuditTree } from "./audit_tree.ts";
import { entryFrom, FIELDS, GENESIS, type Head } from "./chain.ts";
import { insertLines, type Lines } from "./insert_lines.ts";
import { InsertThread, ThreadEnded } from "./insert_thread.ts";

/** Rows behind a number, at most so many, with the columns in the order of {@linkcode FIELDS}. */
export const ROWS = `SELECT ${FIELDS.join(", ")} FROM audit_entries WHERE seq > ? ORDER BY seq LIMIT ?`;

/** Fewer entries than these are inserted here: the way to a thread and back costs more. */
const THREAD_FROM = 32;

/**
 * The table `audit_entries`: entries in, entries out, in the order of `seq`. Nothing is ever updated, and only pruning
 * deletes. The tree grows in the same transactions.
 */
export class EntriesTable implements AsyncDisposable {
  readonly #store: Store;
  #thread: InsertThread | undefined;
  /** Number of the last entry. */
  #last = 0;
  /** Whether the thread ended with lines that it may have inserted, so that the table has to be looked at anew. */
  #unsure = false;
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
    this.#last = (await this.last(1))[0]?.seq ?? this.base.seq;
    await tree.load(this, this.#last);
    this.tree = tree;
    this.#unsure = false;
  }

  /**
   * Adds entries that follow the last one, in one transaction; lines that the table has already are left out. They are
   * durable in the file, out of which a start after a loss of power puts them here again, so the disk is not waited for.
   */
  async insert(groups: readonly Lines[]): Promise<void> {
    if (this.#unsure) await this.load();
    const lines = joined(groups.filter(({ first }) => first > this.#last));
    if (lines === null) return;
    try {
      const edge = this.tree.edge();
      const { bytes } = lines;
      const thread = this.hasThread && lines.count >= THREAD_FROM ? this.#thread : undefined;
      this.tree.commit(
        thread === undefined
          ? await this.#store.batch((statements) => (insertLines(statements, bytes, edge), edge), { durable: false })
          : await this.#store.alone(() => thread.insert(bytes, edge)),
      );
      this.#last += lines.count;
    } catch (error) {
      if (!(error instanceof ThreadEnded)) throw error;
      this.#unsure = true;
      await this.insert(groups);
    }
  }

  /** Starts a thread that inserts what comes in larger numbers from now on, once. */
  startThread(): void {
    if (this.path !== null) this.#thread ??= new InsertThread(this.path);
  }

  /** Resolves when the thread has started, or could not be; undefined where none is starting. */
  get starting(): Promise<void> | undefined {
    return this.#thread?.starting === true ? this.#thread.started : undefined;
  }

  /** Whether what comes in larger numbers is inserted in a thread. */
  get hasThread(): boolean {
    return this.#thread?.ready === true;
  }

  /** Ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.[Symbol.asyncDispose]();
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

/** A copy of them as one, which can go to a thread while the groups stay here. */
function joined(groups: readonly Lines[]): Lines & { bytes: Uint8Array<ArrayBuffer> } | null {
  const [first] = groups;
  if (first === undefined) return null;
  let [count, length] = [0, 0];
  for (const group of groups) {
    count += group.count;
    length += group.bytes.length;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const group of groups) {
    bytes.set(group.bytes, at);
    at += group.bytes.length;
  }
  return { first: first.first, count, bytes };
}
