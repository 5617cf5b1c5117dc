import { setImmediate } from "node:timers";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { Events, Logger } from "@ark/node/telemetry";
import type { AuditAppendOptions } from "./audit_options.ts";
import type { AuditEntry, UnplacedEntry } from "./audit_record.ts";
import type { Head } from "./chain.ts";
import type { Follower } from "./follower.ts";
import { Group } from "./group.ts";
import type { Journal } from "./journal.ts";
import { isDiskFull } from "./log_file.ts";
import { GROUP_BYTES } from "./recover.ts";
import type { Reserve } from "./reserve.ts";

/** A record that waits for its place. */
interface Waiting {
  unplaced: UnplacedEntry;
  resolve: (entry: AuditEntry) => void;
  reject: (error: unknown) => void;
  /** Called once the system has it. */
  written: (() => void) | undefined;
}

/** Most records that wait for the disk. */
const WAITING_LIMIT = 10_000;

/** After so long without a commit the next one that somebody waits for does not wait for others to join it, in milliseconds. */
const QUIET_MS = 5;

/** What a {@linkcode Committer} works with. */
export interface CommitterOptions {
  /** Where groups become durable. */
  journal: Journal;
  /** Takes the database along. */
  follower: Follower;
  /** Is given up where the disk is full. */
  reserve: Reserve;
  /** Says when the log cannot be written, and when it can again. */
  logger: Logger | undefined;
  /** Gets an `audit` event then. */
  events: Events | undefined;
  /** Monotonic time in milliseconds. */
  now?(): number;
  /** Brings file and database to the same end. */
  recover(): Promise<{ head: Head; refusal: string | null }>;
}

/** Puts records behind each other and commits those together that wait at the same time. */
export class Committer {
  readonly #options: CommitterOptions;
  /** Of the group that is committed, and of the next one, in turn. */
  #buffers = [new Uint8Array(GROUP_BYTES), new Uint8Array(GROUP_BYTES)] as const;
  #waiting: Waiting[] = [];
  /** The first of those that wait, behind a group that is not durable yet, or behind the last entry. */
  #ahead: Group | undefined;
  #committing: Promise<void> | undefined;
  #head: Head | undefined;
  #writing = 0;
  #refusal: string | null = null;
  #fault: string | null = null;
  /** Monotonic time at which the last commit ended, in milliseconds. */
  #endedAt = -Infinity;

  /** Nothing is read or written before {@linkcode start}. */
  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** The last durable entry; undefined where it is not certain that file and database agree on it. */
  get head(): Head | undefined {
    return this.#refusal === null ? this.#head : undefined;
  }

  /** Number of the last entry that is on its way to the disk, or 0. */
  get writing(): number {
    return this.#writing;
  }

  /** Why nothing is committed until a restart, or null. */
  get refusal(): string | null {
    return this.#refusal;
  }

  /** Why the last commit failed, or null. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Whether no more may wait. */
  get full(): boolean {
    return this.#waiting.length >= WAITING_LIMIT;
  }

  /** Brings file and database to the same end. Where that fails, the next record tries anew. */
  async start(): Promise<void> {
    await this.#recover().catch((error) => this.#failed(error));
  }

  /**
   * Commits a record. Resolves when it is durable; entries stand in the order of the calls. Records wait for the end of
   * this turn of the event loop, so that others may join them, but with `atOnce` where nothing was committed for a while.
   *
   * @throws {ArkError} `audit_unavailable`
   */
  add(entry: UnplacedEntry, { atOnce = false, written }: AuditAppendOptions = {}): Promise<AuditEntry> {
    const { promise, resolve, reject } = Promise.withResolvers<AuditEntry>();
    this.#waiting.push({ unplaced: entry, resolve, reject, written });
    // Now rather than when its turn comes: meanwhile the disk is at work.
    if (this.#ahead?.entries.length === this.#waiting.length - 1) this.#ahead.add(entry);
    const quiet = atOnce && this.#now() - this.#endedAt > QUIET_MS;
    this.#committing ??= (quiet ? Promise.resolve() : nextTurn()).then(() => this.#commitAll());
    return promise;
  }

  /** Does something while nothing is committed. */
  async alone(work: () => Promise<void>): Promise<void> {
    while (this.#committing !== undefined) await this.#committing;
    const done = this.#committing = work();
    try {
      await done;
    } finally {
      this.#committing = this.#waiting.length > 0 ? this.#commitAll() : undefined;
    }
  }

  /** Waits until nothing is committed any more. */
  async settled(): Promise<void> {
    await this.#committing;
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now();
  }

  async #recover(): Promise<void> {
    const { head, refusal } = await this.#options.recover();
    this.#head = head;
    this.#refusal = refusal;
  }

  async #commitAll(): Promise<void> {
    try {
      if (this.#head === undefined) await this.#recover();
    } catch (error) {
      this.#failed(error);
      this.#rejectAll(error);
    }
    if (this.#refusal !== null) this.#rejectAll(new ArkError("audit_unavailable", this.#refusal));
    try {
      while (this.#waiting.length > 0) {
        const { room } = this.#options.follower;
        if (room !== undefined) await room;
        if (this.#head !== undefined) await this.#commitNext(this.#head);
        // Lets others at the event loop, and more records into the next group.
        if (this.#waiting.length > 0) await nextTurn();
      }
    } catch (error) {
      // What was to happen beside a commit failed. Were it thrown on, all records after this would wait for ever.
      this.#fault = reasonOf(error);
      this.#rejectAll(new ArkError("audit_unavailable", `Cannot record: ${this.#fault}`, { cause: error }));
    } finally {
      this.#committing = undefined;
      this.#endedAt = this.#now();
    }
  }

  async #commitNext(head: Head): Promise<void> {
    const [buffer, other] = this.#buffers;
    const group = this.#ahead ?? new Group(buffer, head);
    while (group.entries.length < this.#waiting.length) {
      const next = this.#waiting[group.entries.length];
      if (next === undefined || !group.add(next.unplaced)) break;
    }
    const waiting = this.#waiting.splice(0, group.entries.length);
    this.#buffers = [other, buffer];
    this.#ahead = new Group(other, group.head);
    await this.#commitGroup(group, waiting);
  }

  async #commitGroup(group: Group, waiting: readonly Waiting[]): Promise<void> {
    const { entries, bytes } = group;
    try {
      this.#writing = group.head.seq;
      const span = { first: group.first, count: entries.length };
      const later = this.#options.journal.commit(bytes, { span, written: () => tell(waiting) });
      if (later !== undefined) await later;
    } catch (error) {
      if (isDiskFull(error) && this.#options.reserve.release()) return await this.#commitGroup(group, waiting);
      // What was to follow hangs on what is not there: it gets its place anew.
      this.#ahead = undefined;
      this.#writing = 0;
      // Before anything else: whoever waits must hear of it, whatever becomes of the rest.
      for (const { reject } of waiting) reject(error);
      return this.#failed(error);
    }
    // Only now: an entry that is not durable must not be what is said to be the last.
    this.#head = entries.at(-1);
    for (const [index, { resolve }] of waiting.entries()) resolve(entries[index] as AuditEntry);
    this.#options.follower.push({ first: group.first, count: entries.length, bytes: bytes.slice() });
    this.#worked();
  }

  #failed(error: unknown): void {
    const known = this.#fault !== null;
    this.#fault = reasonOf(error);
    if (known) return;
    this.#options.logger?.error(this.#fault, { path: this.#options.journal.path });
    this.#options.events?.emit({ type: "audit", available: false });
  }

  #worked(): void {
    if (this.#fault === null) return;
    this.#fault = null;
    this.#options.logger?.info("The audit log can be written again", { path: this.#options.journal.path });
    this.#options.events?.emit({ type: "audit", available: true });
  }

  #rejectAll(error: unknown): void {
    this.#ahead = undefined;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/** Says to those who want to know it that their records were written; once, also where it is tried again. */
function tell(waiting: readonly Waiting[]): void {
  for (const each of waiting) {
    const { written } = each;
    each.written = undefined;
    written?.();
  }
}

/** The end of this turn of the event loop: what other requests append in it is committed together. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
