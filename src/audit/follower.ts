import { setImmediate } from "node:timers";
import { reasonOf } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { EntriesTable } from "./entries_table.ts";
import type { Lines } from "./insert_lines.ts";

/** How long entries wait to be put into the database together, in milliseconds; and after an error. */
const DELAY_MS = 200;
const RETRY_MS = 1_000;

/** Entries of one transaction: one to two milliseconds of the event loop; and those of one in a thread. */
const BATCH = 128;
const THREAD_BATCH = 1_024;

/** From so many entries behind on, a thread is worth starting. */
const THREAD_FROM = 2 * BATCH;

/** Most entries that the database may be behind: while it cannot be written, and while the disk is faster than it is. */
const BEHIND_LIMIT = 50_000;

/** Takes the database along behind the file: entries that are durable already go into it in batches. */
export class Follower implements AsyncDisposable {
  readonly #table: EntriesTable;
  readonly #logger: Logger | undefined;
  readonly #inserted: () => void;
  readonly #behind: Lines[] = [];
  /** Entries that came, and those of them that are in the database. */
  #came = 0;
  #done = 0;
  #last: Promise<void> = Promise.resolve();
  #room: PromiseWithResolvers<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushing = false;
  #closed = false;
  #failure: string | null = null;

  /** `inserted` is called after each batch. */
  constructor(table: EntriesTable, { logger, inserted }: { logger: Logger | undefined; inserted: () => void }) {
    this.#table = table;
    this.#logger = logger;
    this.#inserted = inserted;
  }

  /** Why no more can be taken along, or null. */
  get fault(): string | null {
    if (this.#failure === null || this.#left < BEHIND_LIMIT) return null;
    return `Cannot record: the database of the audit log cannot be written: ${this.#failure}`;
  }

  /** Resolves when there is room for more; undefined where there is. Where the database fails, {@linkcode fault} counts. */
  get room(): Promise<void> | undefined {
    if (this.#failure !== null || this.#left < BEHIND_LIMIT) return undefined;
    return (this.#room ??= Promise.withResolvers()).promise;
  }

  /** Takes entries along, soon. */
  push(lines: Lines): void {
    this.#behind.push(lines);
    this.#came += lines.count;
    if (this.#left >= THREAD_FROM) this.#table.startThread();
    if (!this.#flushing) this.#goOn();
  }

  /** Resolves when everything that was pushed before is in the database; rejects with the database's error. */
  flush(): Promise<void> {
    const goal = this.#came;
    // One after the other: a second one must not insert the same entries.
    return this.#last = this.#last.catch(() => {}).then(() => this.#insert(goal));
  }

  /** Puts what is left into the database. What does not get in is in the file and does so at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.flush().catch(() => {});
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get #left(): number {
    return this.#came - this.#done;
  }

  #goOn(): void {
    if (this.#left === 0) return;
    if (this.#left < BATCH || this.#failure !== null) this.#flushIn(DELAY_MS);
    else this.flush().catch(() => this.#flushIn(RETRY_MS));
  }

  #flushIn(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.flush().catch(() => this.#flushIn(RETRY_MS));
    }, ms);
  }

  async #insert(goal: number): Promise<void> {
    this.#flushing = true;
    try {
      while (this.#done < goal) {
        // First whoever waits for the entries that were just committed, and between the batches everybody else.
        await new Promise((resolve) => setImmediate(resolve));
        // So many would hold up the event loop for longer than the thread takes to start.
        if (this.#left >= THREAD_BATCH) await this.#table.starting;
        const groups = this.#batch();
        await this.#table.insert(groups);
        this.#behind.splice(0, groups.length);
        for (const { count } of groups) this.#done += count;
        this.#makeRoom();
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
    this.#goOn();
  }

  #batch(): Lines[] {
    const most = this.#table.hasThread ? THREAD_BATCH : BATCH;
    let count = 0;
    const end = this.#behind.findIndex((lines) => (count += lines.count) >= most);
    return this.#behind.slice(0, end < 0 ? undefined : end + 1);
  }

  #makeRoom(): void {
    if (this.#failure === null && this.#left >= BEHIND_LIMIT) return;
    this.#room?.resolve();
    this.#room = undefined;
  }

  #failed(error: unknown): void {
    const reason = reasonOf(error);
    if (this.#failure === null) this.#logger?.warn("The database of the audit log cannot be written", { reason });
    this.#failure = reason;
    this.#makeRoom();
  }
}
