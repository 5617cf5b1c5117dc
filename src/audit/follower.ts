import { reasonOf } from "@ark/node/protocol";
import { setImmediate } from "node:timers";
import type { Logger } from "@ark/node/telemetry";
import type { Placed } from "./chain.ts";
import type { EntriesTable } from "./entries_table.ts";

/** How long entries wait to be put into the database together, in milliseconds; and after an error. */
const DELAY_MS = 200;
const RETRY_MS = 1_000;

/** Entries of one transaction: one to two milliseconds of the event loop. */
const BATCH = 128;

/** Most entries that the database may be behind while it cannot be written. */
const BEHIND_LIMIT = 10_000;

/** Takes the database along behind the file: entries that are durable already go into it in batches. */
export class Follower implements AsyncDisposable {
  readonly #table: EntriesTable;
  readonly #logger: Logger | undefined;
  readonly #inserted: () => void;
  readonly #behind: Placed[] = [];
  #last: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushing = false;
  #failure: string | null = null;

  /** `inserted` is called after each batch. */
  constructor(table: EntriesTable, { logger, inserted }: { logger: Logger | undefined; inserted: () => void }) {
    this.#table = table;
    this.#logger = logger;
    this.#inserted = inserted;
  }

  /** Why no more can be taken along, or null. */
  get fault(): string | null {
    if (this.#failure === null || this.#behind.length < BEHIND_LIMIT) return null;
    return `Cannot record: the database of the audit log cannot be written: ${this.#failure}`;
  }

  /** Takes entries along, soon. */
  push(entries: readonly Placed[]): void {
    for (const entry of entries) this.#behind.push(entry);
    if (this.#behind.length < BATCH || this.#failure !== null) this.#flushIn(DELAY_MS);
    else if (!this.#flushing) this.flush().catch(() => this.#flushIn(RETRY_MS));
  }

  /** Resolves when everything that was pushed before is in the database; rejects with the database's error. */
  flush(): Promise<void> {
    // One after the other: a second one must not insert the same entries.
    return this.#last = this.#last.catch(() => {}).then(() => this.#insertAll());
  }

  /** Puts what is left into the database. What does not get in is in the file and does so at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush().catch(() => {});
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #flushIn(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.flush().catch(() => this.#flushIn(RETRY_MS));
    }, ms);
  }

  async #insertAll(): Promise<void> {
    this.#flushing = true;
    try {
      while (this.#behind.length > 0) {
        // First whoever waits for the entries that were just committed, and between the batches everybody else.
        await new Promise((resolve) => setImmediate(resolve));
        const batch = this.#behind.slice(0, BATCH);
        await this.#table.insert(batch);
        this.#behind.splice(0, batch.length);
        this.#inserted();
      }
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      this.#flushing = false;
    }
    if (this.#failure !== null) this.#logger?.info("The database of the audit log can be written again");
    this.#failure = null;
  }

  #failed(error: unknown): void {
    const reason = reasonOf(error);
    if (this.#failure === null) this.#logger?.warn("The database of the audit log cannot be written", { reason });
    this.#failure = reason;
  }
}
