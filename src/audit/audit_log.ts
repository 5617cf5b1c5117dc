import { setTimeout as pause } from "node:timers/promises";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { Events, Logger } from "@ark/node/telemetry";
import type { AuditAppendOptions, AuditExportOptions, AuditLogOptions, AuditProof } from "./audit_options.ts";
import { type AuditEntry, type AuditRecord, unplaced, type UnplacedEntry } from "./audit_record.ts";
import { type Head, lineOf } from "./chain.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Committer } from "./committer.ts";
import { EntriesTable } from "./entries_table.ts";
import { Follower } from "./follower.ts";
import { Journal } from "./journal.ts";
import type { JournalFault } from "./join_ring.ts";
import { dropPruned, pruneEnd, type PruneRange } from "./prune.ts";
import { recover } from "./recover.ts";
import { Reserve } from "./reserve.ts";
import { type AuditVerdict, verify } from "./verify.ts";

/** While the reserve is spent. */
const SPENT = "Cannot record: the disk is full, and only its reserve is left for what runs already; free some space, " +
  "the node goes on by itself then";

/** Time between two looks whether the journal has to be made anew, in milliseconds. */
const JOURNAL_RETRY_MS = 60_000;

/** Rows that an export reads at a time. */
const EXPORT_BATCH = 256;

/**
 * The append-only chain of what the node did. The module's comment says what it promises.
 *
 * | state | `append()` |
 * |---|---|
 * | open | commits the record together with those that came in the same turn of the event loop; `atOnce`, without waiting for that turn's end where nothing was committed lately |
 * | the disk is full | spends its reserve on ends and the owner's acts; rejects what begins, as `start` and `deny` |
 * | the disk fails | rejects with `audit_unavailable`; each call tries anew, so the log recovers by itself |
 * | the database fails | goes on until the database is 50,000 entries behind, then rejects; recovers by itself |
 * | file and database contradict each other | rejects until the owner has decided and the node is restarted |
 * | disposed | rejects |
 */
export class AuditLog implements AsyncDisposable {
  /** Signed checkpoints, and proofs that go with them. */
  readonly checkpoints: Checkpoints;
  readonly #journal: Journal;
  readonly #table: EntriesTable;
  readonly #follower: Follower;
  readonly #reserve: Reserve;
  readonly #committer: Committer;
  readonly #logger: Logger | undefined;
  readonly #events: Events | undefined;
  #journalFault: JournalFault | undefined;
  #closed = false;
  /** Looking at all entries and removing some take turns. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(journal: Journal, { store, logger, events, identity, reserveBytes = 0 }: AuditLogOptions) {
    this.#journal = journal;
    const table = this.#table = new EntriesTable(store);
    const follower = this.#follower = new Follower(table, { logger, inserted: () => this.checkpoints.grew() });
    this.checkpoints = new Checkpoints({ store, table, flush: () => follower.flush(), identity, logger });
    this.#reserve = new Reserve({ path: `${journal.path}.reserve`, bytes: reserveBytes, logger });
    this.#logger = logger;
    this.#events = events;
    const recover = () => this.#recover();
    this.#committer = new Committer({ journal, follower, reserve: this.#reserve, logger, events, recover });
  }

  /**
   * Opens the log, or begins one, and brings file and database to the same end. Where that fails, the log is open
   * nevertheless and says why in {@linkcode fault}.
   *
   * @throws {ArkError} `audit_unavailable` where the file cannot be opened, or another node has it open.
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const { mirror, slowMs, journalBytes: ringBytes = 0, logger } = options;
    const journal = await Journal.open(mirror, { ringBytes, logger, ...(slowMs === undefined ? {} : { slowMs }) });
    const log = new AuditLog(journal, options);
    await log.#committer.start();
    return log;
  }

  /**
   * Why nothing can be recorded, as far as is known, in a sentence for the owner; null where all is well. After a
   * failure of the disk it stays until an `append()` succeeds.
   */
  get fault(): string | null {
    return this.#standingFault() ?? this.#committer.fault ?? (this.#reserve.spent ? SPENT : this.checkpoints.fault);
  }

  /**
   * Appends a record. Resolves when it is durable; entries stand in the order of the calls.
   *
   * @param options `atOnce` for a record before which nothing else is to be done; `written` for what may begin before it
   * is durable.
   * @throws {ArkError} `audit_unavailable`: it was not recorded, so what was to be recorded must not be done.
   * @throws {TypeError} Where a field of the record is not of its kind.
   */
  append(record: AuditRecord, options: AuditAppendOptions = {}): Promise<AuditEntry> {
    try {
      const entry = unplaced(record);
      const fault = this.#standingFault() ?? this.#spentFault(entry);
      if (fault !== null) throw new ArkError("audit_unavailable", fault);
      return this.#committer.add(entry, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The last entries, the newest at the end.
   *
   * @param count Most entries, at least 1.
   * @throws {RangeError} Where `count` is no whole number of at least 1.
   * @throws {ArkError} `audit_unavailable` where the database cannot be read.
   */
  async tail(count: number): Promise<AuditEntry[]> {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new RangeError(`Cannot read the last entries: their number must be at least 1, it is ${count}`);
    }
    return await this.#read(() => this.#table.last(count));
  }

  /**
   * All entries up to now as JSON lines without their line feed, as they stand in `audit.log`.
   *
   * @throws {ArkError} `audit_unavailable` where the database cannot be read.
   */
  async *export({ after = 0 }: AuditExportOptions = {}): AsyncGenerator<string, void, undefined> {
    const last = this.#committer.head?.seq ?? Infinity;
    let seq = Math.max(after, this.#table.base.seq);
    while (seq < last) {
      const entries = await this.#read(() => this.#table.after(seq, EXPORT_BATCH));
      if (entries.length === 0) return;
      for (const entry of entries) {
        seq = entry.seq;
        if (seq <= last) yield lineOf(entry);
      }
    }
  }

  /**
   * Walks the whole chain in database and file side by side and names the first entry that was changed, removed, moved
   * or inserted. Appending goes on meanwhile. That entries were cut off the end of both copies, or that both were
   * rewritten as a whole, cannot be told from the log itself.
   *
   * @throws {ArkError} `audit_unavailable` where the database or the file cannot be read at all.
   */
  async verify(): Promise<AuditVerdict> {
    return await this.#inTurn(async () => {
      const checkpoints = await this.checkpoints.list();
      const lastSeq = () => this.#committer.head?.seq ?? Infinity;
      const lastWritten = () => Math.max(lastSeq(), this.#committer.writing);
      const verdict = await verify({ path: this.#journal.path, table: this.#table, checkpoints, lastSeq, lastWritten });
      const fault = this.#journalFault;
      if (!verdict.ok || fault === undefined) return verdict;
      return { ok: false, entries: fault.seq - 1, where: "both", ...fault };
    });
  }

  /**
   * Removes old entries from both copies and leaves their hashes, so that the tree still proves what is left, and what
   * was there. The act is recorded before it is done. It ends at a multiple of 256; appending waits meanwhile.
   *
   * @returns How many entries went.
   * @throws {ArkError} `bad_request` for a range that is none, `audit_unavailable` where the log cannot be written.
   */
  async prune(range: PruneRange): Promise<number> {
    // What was changed is not thrown away before anybody has looked at it.
    if (this.fault !== null) throw new ArkError("audit_unavailable", this.fault);
    const end = await this.#read(() => pruneEnd(this.#table, range));
    const count = end.seq - this.#table.base.seq;
    if (count === 0) return 0;
    await this.append({ kind: "prune", direction: null, peer: null, count });
    await this.#inTurn(() =>
      this.#committer.alone(async () => {
        await this.#table.prune(end);
        await dropPruned(this.#journal, end);
      })
    );
    return count;
  }

  /** Keeps the reserve and the journal on the disk until the signal fires, from a while after the start on. */
  async keepReserve(signal: AbortSignal, options: { afterMs?: number } = {}): Promise<void> {
    await Promise.all([this.#reserve.run(signal, options), this.#keepJournal(signal, options)]);
  }

  async #keepJournal(signal: AbortSignal, { afterMs = 10_000 }: { afterMs?: number }): Promise<void> {
    for (let waitMs = afterMs; !this.#closed; waitMs = JOURNAL_RETRY_MS) {
      await pause(waitMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const { head } = this.#committer;
      if (head !== undefined && await this.#journal.prepare()) {
        await this.#committer.alone(() => this.#journal.start(this.#committer.head?.seq ?? head.seq)).catch(() => {});
      }
    }
  }

  /** The newest checkpoint over all entries up to now as a signed note, with cosignatures; null where none was made. */
  async checkpoint(): Promise<string | null> {
    await this.#read(() => this.checkpoints.make());
    return this.checkpoints.newest?.note ?? null;
  }

  /**
   * Proves that an entry is in the log.
   *
   * @throws {ArkError} `bad_request` where there is no such entry, or no checkpoint is about it.
   */
  async proof(seq: number): Promise<AuditProof> {
    if (!Number.isSafeInteger(seq) || seq < 1) throw new ArkError("bad_request", "Name an entry by its number, from 1");
    return await this.#read(async () => {
      await this.checkpoints.make();
      const { checkpoint, leaf, proof } = await this.checkpoints.inclusion(seq);
      const entry = await this.#table.get(seq);
      return {
        seq,
        entry: entry === undefined ? null : lineOf(entry),
        leaf: leaf.toBase64(),
        proof: proof.map((hash) => hash.toBase64()),
        checkpoint: checkpoint.note,
      };
    });
  }

  /** Commits what waits, brings the database up to date as far as that goes, and closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#committer.settled();
    await this.#reserve.settled();
    if (this.#committer.refusal === null) await this.checkpoints.make().catch(() => {});
    await this.#follower[Symbol.asyncDispose]();
    await this.#table[Symbol.asyncDispose]();
    await this.#journal.settled();
    this.#journal[Symbol.dispose]();
  }

  /** Why an append would fail without being tried. A failure of the last commit is none: trying shows if it is over. */
  #standingFault(): string | null {
    if (this.#closed) return "Cannot record: the audit log is closed";
    if (this.#committer.full) {
      return "Cannot record: too many records wait for the disk; try again later";
    }
    return this.#committer.refusal ?? this.#follower.fault;
  }

  /** What begins is not recorded on the reserve: then there would be no room for how it ends. */
  #spentFault({ kind }: UnplacedEntry): string | null {
    if (!this.#reserve.spent || (kind !== "start" && kind !== "deny")) return null;
    void this.#reserve.take();
    return SPENT;
  }

  async #recover(): Promise<{ head: Head; refusal: string | null }> {
    await this.#table.load();
    const { head, refusal, fault } = await recover({ journal: this.#journal, table: this.#table }, this.#logger);
    if (refusal === null) await this.#journal.start(head.seq);
    this.#journalFault = fault;
    if (refusal === null) {
      await dropPruned(this.#journal, this.#table.base);
      await this.checkpoints.load();
      const { fault } = this.checkpoints;
      if (fault !== null) this.#logger?.error(fault, { path: this.#journal.path, seq: head.seq });
      return { head, refusal };
    }
    this.#logger?.error(refusal, { path: this.#journal.path, seq: head.seq });
    this.#events?.emit({ type: "audit", available: false });
    return { head, refusal };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(() => this.#read(work));
    this.#turn = done.catch(() => {});
    return done;
  }

  async #read<T>(work: () => Promise<T>): Promise<T> {
    try {
      await this.#follower.flush();
      return await work();
    } catch (error) {
      if (error instanceof ArkError) throw error;
      const reason = reasonOf(error);
      throw new ArkError("audit_unavailable", `Cannot read the audit log: ${reason}`, { cause: error });
    }
  }
}
