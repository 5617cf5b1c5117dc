import { setTimeout as pause } from "node:timers/promises";
import type { Identity } from "@ark/node/identity";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import type { Logger } from "@ark/node/telemetry";
import {
  cosignaturesOf,
  isSignedByLog,
  parseCheckpoint,
  parseSignatures,
  signCheckpoint,
  type SignedCheckpoint,
} from "./checkpoint.ts";
import type { EntriesTable } from "./entries_table.ts";
import { consistencyProof, inclusionProof, sameHash } from "./merkle_tree.ts";

/** A checkpoint of the node's own log as it is kept. */
export interface KeptCheckpoint {
  /** Number of entries. */
  size: number;
  /** The signed note, with the cosignatures of witnesses behind the log's own signature. */
  note: string;
}

/** Checkpoints that are kept. Each says what all before it said; older ones only narrow down where a change begins. */
const KEPT = 10_000;

/** Entries after which a checkpoint is made, and the time after which one is made of fewer, in milliseconds. */
const EVERY_ENTRIES = 256;
const EVERY_MS = 60_000;

/** Cosignatures that are kept of a checkpoint, so that its note stays short enough to be read. */
const COSIGNATURES = 64;

/**
 * What {@linkcode Checkpoints} needs.
 *
 * @internal
 */
export interface CheckpointsOptions {
  /** Keeps them. */
  store: Store;
  /** Entries and tree. */
  table: EntriesTable;
  /** Resolves when all entries of before are in the table. */
  flush(): Promise<void>;
  /** Signs; without it none are made. */
  identity: Identity | undefined;
  /** Says that one could not be made. */
  logger: Logger | undefined;
}

/** Signs what the log is, keeps it, and never signs two histories. */
export class Checkpoints {
  readonly #store: Store;
  readonly #table: EntriesTable;
  readonly #flush: () => Promise<void>;
  readonly #identity: Identity | undefined;
  readonly #logger: Logger | undefined;
  #newest: KeptCheckpoint | null = null;
  #fault: string | null = null;
  #making: Promise<unknown> = Promise.resolve();

  #wake: () => void = () => {};
  #made = Promise.withResolvers<void>();

  /** Makes one that knows nothing before {@linkcode load}. */
  constructor({ store, table, flush, identity, logger }: CheckpointsOptions) {
    this.#store = store;
    this.#table = table;
    this.#flush = flush;
    this.#identity = identity;
    this.#logger = logger;
  }

  /** Why none is made any more, in a sentence for the owner, or null. */
  get fault(): string | null {
    return this.#fault;
  }

  /** The newest, or null. */
  get newest(): KeptCheckpoint | null {
    return this.#newest;
  }

  /** Reads the newest, and compares it with the log. */
  async load(): Promise<void> {
    this.#newest = (await this.list()).at(-1) ?? null;
    this.#fault = this.#table.tree.fault ?? (this.#newest === null ? null : await this.#contradiction(this.#newest));
  }

  /** Entries that a proof can be about. */
  get size(): number {
    return this.#table.tree.size;
  }

  /** Resolves when the next one was made. */
  get next(): Promise<void> {
    return this.#made.promise;
  }

  /** Entries came into the table. */
  grew(): void {
    if (this.#table.tree.size - (this.#newest?.size ?? 0) >= EVERY_ENTRIES) this.#wake();
  }

  /** Makes one after every 256 entries, and of fewer after a minute, until the signal fires. */
  async run(signal: AbortSignal, { everyMs = EVERY_MS }: { everyMs?: number } = {}): Promise<void> {
    let makes = true;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const { promise: woken, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, everyMs);
      // Where none can be made, trying at once again would leave no turn of the event loop to anybody else.
      if (makes) this.grew();
      await woken;
      clearTimeout(timer);
      if (signal.aborted) return;
      try {
        makes = await this.make() !== null;
      } catch (error) {
        this.#logger?.warn("A checkpoint of the audit log could not be made", { reason: reasonOf(error) });
        await pause(1_000, undefined, { signal }).catch(() => {});
      }
    }
  }

  /** Root over the first `size` entries. */
  rootAt(size: number): Promise<Uint8Array> {
    return this.#table.tree.rootAt(size);
  }

  /** Proof that the log of `size` entries goes on from that of `old`. */
  consistency(old: number, size: number): Promise<Uint8Array[]> {
    return consistencyProof(old, size, (level, index) => this.#table.tree.hash(level, index));
  }

  /**
   * Proof that an entry is in the log that the newest checkpoint is about.
   *
   * @throws {ArkError} `bad_request` where it is about no such entry.
   */
  async inclusion(seq: number): Promise<{ checkpoint: KeptCheckpoint; leaf: Uint8Array; proof: Uint8Array[] }> {
    const checkpoint = this.#newest;
    if (checkpoint === null || seq > checkpoint.size) {
      throw new ArkError("bad_request", `No checkpoint is about entry ${seq} yet: try again in a minute`);
    }
    const read = (level: number, index: number) => this.#table.tree.hash(level, index);
    return { checkpoint, leaf: await read(0, seq - 1), proof: await inclusionProof(seq - 1, checkpoint.size, read) };
  }

  /** Makes one over all entries, unless the newest is; null where none can be made. */
  make(): Promise<KeptCheckpoint | null> {
    const made = this.#making.then(() => this.#make());
    this.#making = made.catch(() => {});
    return made;
  }

  /** All that are kept, in the order of their sizes. */
  async list(): Promise<KeptCheckpoint[]> {
    const rows = await this.#store.selectFrom("audit_checkpoints").selectAll().orderBy("size").execute();
    return rows.map(({ size, note, cosignatures }) => ({ size, note: note + cosignatures }));
  }

  /**
   * Keeps the cosignatures among the lines that hold, and are of the witness.
   *
   * @returns How many there were.
   */
  async cosigned(size: number, { lines, witness }: { lines: string; witness: string }): Promise<number> {
    const row = await this.#store.selectFrom("audit_checkpoints").selectAll().where("size", "=", size)
      .executeTakeFirst();
    if (row === undefined) return 0;
    const signed = parseCheckpoint(row.note);
    const found = cosignaturesOf(signed, parseSignatures(lines)).filter((one) => one.witness === witness);
    // One of each witness, the newest.
    const others = parseSignatures(row.cosignatures).filter(({ signer }) => signer !== witness);
    const cosignatures = [...others, ...found].slice(-COSIGNATURES).map(({ line }) => `${line}\n`).join("");
    if (found.length === 0) return 0;
    await this.#store.updateTable("audit_checkpoints").set({ cosignatures }).where("size", "=", size).execute();
    if (this.#newest?.size === size) this.#newest = { size, note: row.note + cosignatures };
    return found.length;
  }

  async #make(): Promise<KeptCheckpoint | null> {
    await this.#flush();
    const { tree } = this.#table;
    const size = tree.size;
    if (this.#identity === undefined || this.#fault !== null || size === 0) return null;
    if (this.#newest?.size === size) return this.#newest;
    const note = signCheckpoint(this.#identity, { size, root: tree.root() });
    // A loss of power may undo it: the entries that it is about are durable in the file, so the next one agrees with it.
    await this.#store.batch((statements) => {
      statements.run("INSERT INTO audit_checkpoints (size, note, cosignatures) VALUES (?, ?, '')", size, note);
      statements.run(
        "DELETE FROM audit_checkpoints WHERE size <= (SELECT size FROM audit_checkpoints ORDER BY size DESC LIMIT 1 OFFSET ?)",
        KEPT,
      );
    }, { durable: false });
    this.#newest = { size, note };
    this.#made.resolve();
    this.#made = Promise.withResolvers();
    return this.#newest;
  }

  /** What is wrong with the log, if its own newest checkpoint is right. */
  async #contradiction({ size, note }: KeptCheckpoint): Promise<string | null> {
    const { tree } = this.#table;
    const signed = readCheckpoint(note);
    if (signed === null) return `The newest checkpoint of the audit log, of ${size} entries, is damaged`;
    if (size > tree.size) {
      return `The audit log ends at entry ${tree.size}, and a checkpoint says that it had ${size}: its end was cut`;
    }
    const root = await tree.rootAt(size).catch(() => null);
    if (root !== null && sameHash(root, signed.checkpoint.root)) return null;
    return `The audit log is not what its checkpoint of ${size} entries says: ark-node audit verify tells where`;
  }
}

/** A note with the signature of its own log, or null. */
export function readCheckpoint(note: string): SignedCheckpoint | null {
  try {
    const signed = parseCheckpoint(note);
    return isSignedByLog(signed) ? signed : null;
  } catch {
    return null;
  }
}
