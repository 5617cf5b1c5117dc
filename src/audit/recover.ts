import type { Logger } from "@ark/node/telemetry";
import type { AuditEntry } from "./audit_record.ts";
import { entryOf, type Head, isSound, isSoundAs, lineOf } from "./chain.ts";
import type { EntriesTable } from "./entries_table.ts";
import type { Journal } from "./journal.ts";
import { journalLines, LINE_BYTES } from "./journal_lines.ts";
import type { RingContents } from "./journal_ring.ts";
import { joinRing, type JournalFault } from "./join_ring.ts";

/**
 * Most bytes of one group that is committed together. What a loss of power can leave behind is a part of the group that
 * nobody was told of, so a bad end of at most this size is set aside, and a larger one is damage.
 */
export const GROUP_BYTES = 512 << 10;

/** Bytes from the end of the file in which an entry is looked for that the database has, too; then eight times as many. */
const WINDOW_BYTES = 64 << 10;

/** Entries that go into the database, or come from it, at a time. */
const BATCH = 256;

/** Lines from the end of a window that are compared with the database to find a common entry. */
const CANDIDATES = 64;

const encoder = new TextEncoder();

const SEQ_REGEXP = /^\{"seq":(\d{1,15}),/;

/** The two copies of the log. */
export interface Copies {
  /** The file. */
  journal: Journal;
  /** The table. */
  table: EntriesTable;
}

/** Where the log stands after a start. */
export interface Recovered {
  /** The last entry of both copies. */
  head: Head;
  /** Why nothing may be appended, or null. */
  refusal: string | null;
  /** What the journal knows better than both copies. */
  fault?: JournalFault;
}

/**
 * Brings file and database to the same end. They differ after a crash, when the database was still catching up, and
 * after the loss of one of them; each is healed from the other as far as the chain proves that to be right:
 *
 * - a torn end of the file is cut; what is whole but no entry is first copied to `audit.log.damaged`
 * - what only the file has goes into the database; what only the database has goes back into the file
 * - what was acknowledged and only the journal has goes into both ({@linkcode joinRing})
 * - where both go on in different ways, or damage is larger than a crash explains, nothing is touched and nothing may be
 *   appended
 */
export async function recover({ journal, table }: Copies, logger: Logger | undefined): Promise<Recovered> {
  const stored: Head = (await table.last(1))[0] ?? table.base;
  const lastRun = await journal.lastRun();
  const common = await lastCommon(journal.path, table, stored.seq);
  let { head, end } = await beforeHole(journal.path, table, { common, lastRun });
  let replayed: string[] = [];
  for await (const line of journalLines(journal.path, end)) {
    const entry = line.whole ? nextEntry(line.text, head) : undefined;
    if (entry === undefined) break;
    if (entry.seq <= stored.seq) return refused(journal.path, head);
    head = entry;
    end = line.end;
    replayed.push(line.text);
    if (replayed.length < BATCH) continue;
    await replay(table, replayed, head);
    replayed = [];
  }
  await replay(table, replayed, head);
  if (head.seq > stored.seq) {
    logger?.info("The audit database caught up with its file", { count: head.seq - stored.seq });
  }
  // What was not durable in the file yet can be torn as far as the journal has it.
  const inJournal = lastRun?.lines.filter(({ seq }) => seq > head.seq) ?? [];
  const explained = inJournal.reduce((sum, { text }) => sum + encoder.encode(text).length + 1, GROUP_BYTES);
  if (journal.size - end > explained) return refused(journal.path, head);
  if (journal.size > end) await cut(journal, end, logger);
  const restored = await restore({ journal, table }, { head, stored }, logger);
  if (restored.refusal !== null || lastRun === null) return restored;
  return await joinRing({ journal, table }, { head: restored.head, lastRun }, logger);
}

/** Puts lines, of which `head` is the last, into the table. */
async function replay(table: EntriesTable, lines: readonly string[], head: Head): Promise<void> {
  if (lines.length === 0) return;
  const bytes = encoder.encode(lines.join("\n") + "\n");
  await table.insert([{ first: head.seq - lines.length + 1, count: lines.length, bytes }]);
}

/** A place in both copies: the last entry before it, and its offset in the file. */
interface Place {
  head: Head;
  end: number;
}

/**
 * What was not yet durable in the file can have holes after a loss of power: blocks of zeros, and whole lines behind them.
 * The file ends before the first, and gets its lines back. A line that is bad in another way was no crash's work, and
 * stays where it is for `verify()` to find.
 */
async function beforeHole(
  path: string,
  table: EntriesTable,
  { common, lastRun }: { common: Place; lastRun: RingContents | null },
): Promise<Place> {
  if (lastRun === null || lastRun.lines.length === 0 || common.head.seq <= lastRun.synced) return common;
  let { head, end } = await lastCommon(path, table, lastRun.synced);
  for await (const line of journalLines(path, end)) {
    if (line.start >= common.end) break;
    const entry = line.whole ? nextEntry(line.text, head) : undefined;
    if (entry === undefined) {
      const isHole = !line.whole || line.end - line.start > LINE_BYTES || line.text.includes("\0");
      return isHole ? { head, end } : common;
    }
    head = entry;
    end = line.end;
  }
  return common;
}

/** Finds the last line of the file that the database has too, reading from the end. */
async function lastCommon(path: string, table: EntriesTable, storedSeq: number): Promise<Place> {
  const size = storedSeq === table.base.seq ? 0 : (await Deno.stat(path)).size;
  for (let window = WINDOW_BYTES; size > 0; window *= 8) {
    const candidates: { seq: number; text: string; end: number }[] = [];
    // From the middle of a line the first piece is no entry, which does no harm.
    for await (const { text, end, whole } of journalLines(path, Math.max(0, size - window))) {
      const seq = Number(SEQ_REGEXP.exec(text)?.[1] ?? Infinity);
      if (seq > storedSeq || !whole) continue;
      candidates.push({ seq, text, end });
      if (candidates.length > CANDIDATES) candidates.shift();
    }
    for (const { seq, text, end } of candidates.reverse()) {
      const row = await table.get(seq);
      if (row !== undefined && isSoundAs(row, text)) return { head: row, end };
    }
    if (window >= size) break;
  }
  return { head: table.base, end: 0 };
}

/** Reads the line of the entry that follows `head`; undefined where it is none. */
export function nextEntry(text: string, head: Head): AuditEntry | undefined {
  try {
    const entry = entryOf(text);
    return entry.seq === head.seq + 1 && entry.prev === head.hash ? entry : undefined;
  } catch {
    return undefined;
  }
}

async function cut(journal: Journal, end: number, logger: Logger | undefined): Promise<void> {
  const bytes = journal.size - end;
  const rest = await Array.fromAsync(journalLines(journal.path, end));
  if (rest.some((line) => line.whole)) {
    await setAside(journal, end);
    logger?.warn("The end of the audit log was no part of its chain and is now in audit.log.damaged", { bytes });
  } else {
    logger?.info("The last line of the audit log was torn and is cut", { bytes });
  }
  journal.truncate(end);
}

async function setAside({ path, size }: Journal, offset: number): Promise<void> {
  const bytes = new Uint8Array(size - offset);
  using file = await Deno.open(path);
  await file.seek(offset, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) done += await file.read(bytes.subarray(done)) ?? bytes.length;
  using aside = await Deno.open(`${path}.damaged`, { append: true, create: true, mode: 0o600 });
  for (let done = 0; done < bytes.length;) done += await aside.write(bytes.subarray(done));
  await aside.sync();
}

async function restore(
  { journal, table }: Copies,
  { head, stored }: { head: Head; stored: Head },
  logger: Logger | undefined,
): Promise<Recovered> {
  const from = head.seq;
  while (head.seq < stored.seq) {
    let text = "";
    for (const entry of await table.after(head.seq, BATCH)) {
      if (entry.seq !== head.seq + 1 || entry.prev !== head.hash || !isSound(entry)) {
        return refused(journal.path, head);
      }
      text += lineOf(entry) + "\n";
      head = entry;
    }
    await journal.commit(encoder.encode(text));
  }
  if (head.seq > from) {
    logger?.warn("The audit log was shorter than its database and is whole again", { count: head.seq - from });
  }
  return { head, refusal: null };
}

function refused(path: string, { seq, hash }: Head): Recovered {
  const refusal = `Cannot record: the audit log ${path} and its database disagree after entry ${seq}; ` +
    "ark-node audit verify tells where, and with audit.log moved away a restart makes it anew from the database";
  return { head: { seq, hash }, refusal };
}
