import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { LINE_BYTES } from "./journal_lines.ts";
import { BLOCK_BYTES, readRecord, recordBytes, type RingRecord, writeRecord } from "./ring_record.ts";
import { secureDirectory } from "./log_file.ts";

/** Smaller than this it would be full all the time; larger than this it is read at no start. */
const LEAST_BYTES = 1 << 20;
const MOST_BYTES = 256 << 20;

/**
 * `audit.log` is made durable from so much on: the disk is busy with a little every now and then, rather than with much for
 * so long that those who wait for the ring meanwhile would be more than one in a hundred.
 */
const DUE_BYTES = 1 << 20;

/** It is made only on a disk with so many times its size free. */
const ROOM = 4;

const CHUNK_BYTES = 1 << 20;

/** What a journal says about entries that `audit.log` may lack. */
export interface RingContents {
  /** Number of the newest record; 0 where there is none. */
  number: number;
  /** The last entry that is known to be durable in `audit.log`. */
  synced: number;
  /** Lines of the entries behind that, in order; those before a gap are not there. */
  lines: { seq: number; text: string }[];
}

/** A record that is needed until its lines are durable in `audit.log`. */
interface Needed {
  at: number;
  bytes: number;
  length: number;
  number: number;
}

/** Up to where lines are to become durable in `audit.log`. */
export interface RingMark {
  /** The newest record. */
  number: number;
  /** Its last entry. */
  seq: number;
}

/**
 * The file `audit.log.journal`: a ring of blocks that were written before, so that making a group durable there changes
 * no length, takes no new block, and waits for no other file's. `audit.log` follows, and once it is durable there the
 * room is used again.
 */
export class JournalRing implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #capacity: number;
  #number: number;
  #synced: number;
  #lastSeq: number;
  #at = 0;
  #needed: Needed[] = [];
  #used = 0;
  #putting: Needed & { seq: number } | undefined;
  #buffer = new Uint8Array(64 << 10);

  private constructor(file: Deno.FsFile, { capacity, number, seq }: { capacity: number; number: number; seq: number }) {
    this.#file = file;
    this.#capacity = capacity;
    this.#number = number;
    this.#synced = seq;
    this.#lastSeq = seq;
  }

  /**
   * Takes the file into use and says in it, durably, that everything up to the entry `seq` is in `audit.log`. Undefined
   * where there is no file of that size.
   */
  static async open(path: string, { bytes, seq }: { bytes: number; seq: number }): Promise<JournalRing | undefined> {
    const info = await Deno.stat(path).catch(() => null);
    if (info === null || !info.isFile || info.size !== bytes) return undefined;
    const { number } = await readRing(path) ?? { number: 0 };
    const file = await Deno.open(path, { read: true, write: true });
    try {
      if (Deno.build.os !== "windows") await Deno.chmod(path, 0o600);
      const ring = new JournalRing(file, { capacity: bytes, number, seq });
      ring.clean();
      return ring;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Whether so much of it is needed that it is time to make `audit.log` durable. */
  get due(): boolean {
    return this.#used >= Math.min(this.#capacity >> 1, DUE_BYTES);
  }

  /** Whether any of it is needed. */
  get needed(): boolean {
    return this.#needed.length > 0;
  }

  /** Up to its newest record, which is acknowledged. */
  get mark(): RingMark {
    return { number: this.#number, seq: this.#lastSeq };
  }

  /** Writes a group of lines, not yet durably. False, and nothing is written, where there is no room. */
  put(lines: Pick<RingRecord, "first" | "count" | "bytes">): boolean {
    const bytes = recordBytes(lines.bytes.length);
    const at = this.#roomFor(bytes);
    if (at === undefined) return false;
    if (this.#buffer.length < bytes) this.#buffer = new Uint8Array(2 * bytes);
    const record = this.#buffer.subarray(0, bytes);
    const number = this.#number + 1;
    this.#putting = { at, bytes, length: lines.bytes.length, number, seq: lines.first + lines.count - 1 };
    writeRecord({ number, synced: this.#synced, ...lines }, record);
    this.#write(at, record);
    return true;
  }

  /** Makes durable what was put. */
  syncNow(): void {
    this.#file.syncDataSync();
  }

  /** The same in a thread. */
  async sync(): Promise<void> {
    await this.#file.syncData();
  }

  /** What was put is acknowledged. */
  keep(): void {
    if (this.#putting === undefined) return;
    const { seq, ...needed } = this.#putting;
    this.#needed.push(needed);
    this.#used += needed.bytes;
    this.#number = needed.number;
    this.#lastSeq = seq;
    this.#at = needed.at + needed.bytes;
    this.#putting = undefined;
  }

  /** What was put is not to be found by a start. */
  undo(): void {
    if (this.#putting === undefined) return;
    this.#write(this.#putting.at, new Uint8Array(BLOCK_BYTES));
    this.#putting = undefined;
  }

  /** What stands up to there is durable in `audit.log`. */
  release({ number, seq }: RingMark): void {
    const still = this.#needed.findIndex((record) => record.number > number);
    for (const { bytes } of this.#needed.splice(0, still < 0 ? this.#needed.length : still)) this.#used -= bytes;
    this.#synced = Math.max(this.#synced, seq);
    this.#lastSeq = Math.max(this.#lastSeq, seq);
  }

  /** The lines that are needed yet, in order. */
  *lines(): Generator<Uint8Array> {
    for (const { at, bytes, length } of this.#needed) {
      const record = new Uint8Array(bytes);
      this.#file.seekSync(at, Deno.SeekMode.Start);
      for (let read = 0; read < bytes;) {
        const more = this.#file.readSync(record.subarray(read));
        if (more === null) throw new Error("the journal is shorter than it was");
        read += more;
      }
      const found = readRecord(record);
      if (found?.bytes.length !== length) throw new Error("the journal was changed");
      yield found.bytes;
    }
  }

  /** Says, durably, that all is in `audit.log`. */
  clean(): void {
    this.release(this.mark);
    if (this.put({ first: this.#synced + 1, count: 0, bytes: new Uint8Array(0) })) this.syncNow();
    this.keep();
    this.release(this.mark);
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  #roomFor(bytes: number): number | undefined {
    const oldest = this.#needed[0]?.at;
    if (oldest === undefined) {
      return bytes > this.#capacity ? undefined : this.#at + bytes <= this.#capacity ? this.#at : 0;
    }
    if (this.#at <= oldest) return this.#at + bytes <= oldest ? this.#at : undefined;
    if (this.#at + bytes <= this.#capacity) return this.#at;
    return bytes <= oldest ? 0 : undefined;
  }

  #write(at: number, bytes: Uint8Array): void {
    this.#file.seekSync(at, Deno.SeekMode.Start);
    for (let written = 0; written < bytes.length;) written += this.#file.writeSync(bytes.subarray(written));
  }
}

/** Whether the disk has enough room for a journal beside `path`. */
export async function fitsRing(path: string, bytes: number): Promise<boolean> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize >= ROOM * bytes;
}

/** Makes the file, full of zeros: blocks that were never written would have to be taken first. Where it fails, nothing is left. */
export async function makeRing(path: string, bytes: number): Promise<void> {
  const beside = `${path}.new`;
  try {
    {
      using file = await Deno.open(beside, { write: true, create: true, truncate: true, mode: 0o600 });
      const zeros = new Uint8Array(Math.min(CHUNK_BYTES, bytes));
      for (let written = 0; written < bytes;) written += await file.write(zeros.subarray(0, bytes - written));
      await file.sync();
    }
    await Deno.rename(beside, path);
    await secureDirectory(path);
  } catch (error) {
    await Deno.remove(beside).catch(() => {});
    throw error;
  }
}

/** Reads what a journal says; null where there is none that can be read. What is torn or strange in it is not there. */
export async function readRing(path: string): Promise<RingContents | null> {
  const bytes = await wholeFile(path);
  if (bytes === null) return null;
  const records = new Map<number, RingRecord>();
  for (let at = 0; at < bytes.length;) {
    const record = readRecord(bytes.subarray(at));
    if (record !== undefined) records.set(record.number, record);
    at += record === undefined ? BLOCK_BYTES : recordBytes(record.bytes.length);
  }
  const newest = records.get([...records.keys()].reduce((most, number) => Math.max(most, number), 0));
  if (newest === undefined) return { number: 0, synced: 0, lines: [] };
  const { number, synced } = newest;
  const lines: RingContents["lines"][] = [];
  for (let record: RingRecord | undefined = newest; record !== undefined && record.first + record.count > synced + 1;) {
    lines.push(linesOf(record).filter(({ seq }) => seq > synced));
    const before: RingRecord | undefined = records.get(record.number - 1);
    // Entries of an older run may have the same numbers and be others: only what goes on without a gap counts.
    record = before !== undefined && before.first + before.count === record.first ? before : undefined;
  }
  return { number, synced, lines: lines.reverse().flat() };
}

function linesOf({ first, bytes }: RingRecord): RingContents["lines"] {
  const texts = new TextDecoder().decode(bytes).split("\n").slice(0, -1);
  return texts.map((text, index) => ({ seq: first + index, text: text.length > LINE_BYTES ? "" : text }));
}

async function wholeFile(path: string): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile || size < LEAST_BYTES || size > MOST_BYTES) return null;
    return await Deno.readFile(path);
  } catch {
    return null;
  }
}
