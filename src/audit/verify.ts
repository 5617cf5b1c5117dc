import { setImmediate } from "node:timers";
import type { AuditEntry } from "./audit_record.ts";
import { entryOf, FIELDS, GENESIS, type Head, isSound, isSoundAs } from "./chain.ts";
import type { EntriesTable } from "./entries_table.ts";
import { type JournalLine, journalLines } from "./journal_lines.ts";

/** What {@linkcode AuditLog.verify} found. */
export type AuditVerdict = SoundAudit | FaultyAudit;

/** Every entry is there, unchanged and in its place, in both copies. */
export interface SoundAudit {
  /** Tells it from the other verdict. */
  ok: true;
  /** Entries that were checked. */
  entries: number;
  /** Hash of the last one; 64 zeros where there is none. */
  head: string;
}

/** Something is wrong. */
export interface FaultyAudit {
  /** Tells it from the other verdict. */
  ok: false;
  /** Entries that are sound, from the first on. */
  entries: number;
  /** The first bad entry. */
  seq: number;
  /** Which copy is bad. */
  where: "database" | "file" | "both";
  /** What is wrong, in a sentence for a person. */
  reason: string;
}

/** Rows per slice: about a millisecond, after which the event loop gets its turn. */
const SLICE = 128;

/**
 * Walks both copies side by side.
 *
 * @param lastSeq The last entry's number as of now, `Infinity` where it is not known.
 */
export async function verify(path: string, table: EntriesTable, lastSeq: () => number): Promise<AuditVerdict> {
  const last = lastSeq();
  const rows = tableRows(table);
  const lines = journalLines(path, 0);
  let head: Head = GENESIS;
  try {
    for (;;) {
      const row: Row = (await rows.next()).value;
      const line: JournalLine | undefined = (await lines.next()).value ?? undefined;
      if (row === undefined && line === undefined && (last === Infinity || head.seq === last)) break;
      const fault = head.seq < last ? faultAt(head, row, line) : faultBeyond(head, { row, line, last: lastSeq() });
      if (fault !== null) return { ok: false, entries: head.seq, seq: head.seq + 1, ...fault };
      if (head.seq === last) break;
      head = row as AuditEntry;
    }
  } finally {
    await lines.return(undefined);
  }
  return { ok: true, entries: head.seq, head: head.hash };
}

/** A row as it was read, or why it was not. */
type Row = AuditEntry | Error | undefined;
type Fault = Pick<FaultyAudit, "where" | "reason">;

async function* tableRows(table: EntriesTable): AsyncGenerator<AuditEntry | Error, undefined> {
  // Numbers below the first can only have been put there by others.
  let seq = Number.MIN_SAFE_INTEGER;
  let count = SLICE;
  for (;;) {
    let slice: AuditEntry[];
    try {
      slice = await table.after(seq, count);
    } catch (error) {
      if (count === 1) {
        yield error instanceof Error ? error : new Error(String(error));
        return;
      }
      // One by one, the bad row is the one that cannot be read.
      count = 1;
      continue;
    }
    yield* slice;
    const end = slice.at(-1);
    if (end === undefined) return;
    seq = end.seq;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What is wrong with the next entry of either copy, or null. Pure. */
function faultAt(head: Head, row: Row, line: JournalLine | undefined): Fault | null {
  // The usual case, and the cheap one.
  if (isNext(head, row) && line?.whole === true && isSoundAs(row, line.text)) return null;
  const inTable = rowFault(head, row);
  const inFile = lineFault(head, line);
  const seq = head.seq + 1;
  if (inTable !== null && inFile !== null) {
    return { where: "both", reason: `In the database ${inTable}; in audit.log ${inFile}` };
  }
  if (inTable !== null) {
    const changed = changedFields(row, line);
    const what = changed === null ? inTable : `entry ${seq} was changed: ${changed}`;
    return { where: "database", reason: `In the database ${what}; audit.log still has it as it was` };
  }
  if (inFile !== null) {
    return { where: "file", reason: `In audit.log ${inFile}; the database still has it as it was` };
  }
  return {
    where: "both",
    reason: `The database and audit.log hold different entries ${seq}, each whole by itself: one was rewritten`,
  };
}

function isNext(head: Head, row: Row): row is AuditEntry {
  return row !== undefined && !(row instanceof Error) && row.seq === head.seq + 1 && row.prev === head.hash;
}

function rowFault(head: Head, row: Row): string | null {
  const seq = head.seq + 1;
  if (row === undefined) return `entry ${seq} is missing`;
  if (row instanceof Error) return `entry ${seq} cannot be read: ${row.message}`;
  if (row.seq !== seq) return row.seq > seq ? `entry ${seq} is missing` : `an entry numbered ${row.seq} was inserted`;
  if (!isSound(row)) return `entry ${seq} was changed`;
  return row.prev === head.hash ? null : follows(head);
}

function lineFault(head: Head, line: JournalLine | undefined): string | null {
  const seq = head.seq + 1;
  if (line === undefined) return `entry ${seq} is missing at the end`;
  if (!line.whole) return `the line of entry ${seq} is cut`;
  let entry: AuditEntry;
  try {
    entry = entryOf(line.text);
  } catch {
    return `the line of entry ${seq} was changed`;
  }
  if (entry.seq !== seq) return `the line of entry ${seq} is missing, in its place stands entry ${entry.seq}`;
  return entry.prev === head.hash ? null : follows(head);
}

function follows({ seq }: Head): string {
  return seq === 0
    ? "entry 1 is not the first of its chain: entries before it were removed"
    : `entry ${seq + 1} does not follow from entry ${seq}: entry ${seq} was rewritten, or one between them was removed`;
}

/** Names the fields in which a bad row differs from its sound line. */
function changedFields(row: Row, line: JournalLine | undefined): string | null {
  if (row === undefined || row instanceof Error || line === undefined) return null;
  const entry = entryOf(line.text);
  return row.seq === entry.seq ? FIELDS.filter((field) => row[field] !== entry[field]).join(", ") : null;
}

/** Entries behind the last one are right only where the log itself has appended them meanwhile. Pure. */
function faultBeyond(
  head: Head,
  { row, line, last }: { row: Row; line: JournalLine | undefined; last: number },
): Fault | null {
  if (row instanceof Error) {
    return { where: "database", reason: `Behind entry ${head.seq} the database cannot be read` };
  }
  if (row !== undefined && (last === head.seq || rowFault(head, row) !== null)) {
    return { where: "database", reason: `In the database an entry numbered ${row.seq} was added behind the last one` };
  }
  // What is not whole is being written, or is overwritten by the next entry.
  if (line?.whole === true && (last === head.seq || lineFault(head, line) !== null)) {
    return { where: "file", reason: `In audit.log a line was added behind the last entry, ${head.seq}` };
  }
  return null;
}
