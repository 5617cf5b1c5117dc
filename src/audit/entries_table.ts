import type { Store } from "@ark/node/store";
import type { AuditEntry } from "./audit_record.ts";
import { entryFrom, FIELDS } from "./chain.ts";

const INSERT = `INSERT INTO audit_entries (${FIELDS.join(", ")}) VALUES (${FIELDS.map(() => "?").join(", ")})`;

/** The table `audit_entries`: entries in, entries out, in the order of `seq`. Nothing is ever updated or deleted. */
export class EntriesTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Adds entries in one transaction. */
  async insert(entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await this.#store.batch((statements) => {
      for (const entry of entries) statements.run(INSERT, ...FIELDS.map((field) => entry[field]));
    });
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
}
