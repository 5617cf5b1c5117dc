import { setImmediate } from "node:timers";
import type { AuditEntry } from "./audit_record.ts";
import { entryOf, FIELDS, type Head, isSound, isSoundAs } from "./chain.ts";
import type { KeptCheckpoint } from "./checkpoints.ts";
import type { EntriesTable } from "./entries_table.ts";
import { type JournalLine, journalLines, lineChunks } from "./journal_lines.ts";
import type { CheckedLines } from "./line_check.ts";
import { LineCheckers } from "./line_checkers.ts";
import { leafHash } from "./merkle_tree.ts";
import { areLines, linesOf } from "./same_rows.ts";
import { TreeCheck } from "./tree_check.ts";
import type { WitnessFinding } from "./witnesses.ts";

/** What {@linkcode AuditLog.verify} found. */
export type AuditVerdict = SoundAudit | FaultyAudit;

/** Every entry is there, unchanged and in its place, in both copies. */
export interface SoundAudit {
  /** Tells it from the other verdict. */
  ok: true;
  /** Entries of the log; those that were pruned are proven by their hashes alone. */
  entries: number;
  /** Hash of the last one; 64 zeros where there is none. */
  head: string;
  /** How many of them were pruned. */
  pruned: number;
  /** Root of their tree, base64. */
  root: string;
  /** Checkpoints of this node that were compared with the entries. */
  checkpoints: number;
  /** What witnesses hold, where they were asked. */
  witnesses?: WitnessFinding[];
}

/** Something is wrong. */
export interface FaultyAudit {
  /** Tells it from the other verdict. */
  ok: false;
  /** Entries that are sound, from the first on. */
  entries: number;
  /** The first bad entry, or the first of those among which it is. */
  seq: number;
  /** Which copy is bad, or `tree` where the entries are right and what was stored about them is not. */
  where: "database" | "file" | "both" | "tree";
  /** What is wrong, in a sentence for a person. */
  reason: string;
  /** What witnesses hold, where they were asked. */
  witnesses?: WitnessFinding[];
}

/** Rows per slice: about a millisecond, after which the event loop gets its turn. */
const SLICE = 128;

/** What is verified. */
export interface Verified {
  /** Path of `audit.log`. */
  path: string;
  /** The other copy, and the tree. */
  table: EntriesTable;
  /** What this node signed about its log. */
  checkpoints: readonly KeptCheckpoint[];
  /** The last entry's number as of now, `Infinity` where it is not known. */
  lastSeq(): number;
  /** The last one of which the line may be in the file, on its way to the disk; at least as much as that. */
  lastWritten(): number;
}

/** Walks both copies side by side, and compares their tree with tiles and checkpoints. */
export async function verify(verified: Verified): Promise<AuditVerdict> {
  const { table, checkpoints, lastSeq } = verified;
  const last = lastSeq();
  const base = table.base;
  const tree = new TreeCheck(table.tree, checkpoints);
  const ofPruned = await tree.takePruned(base.seq);
  if (ofPruned !== null) return { ok: false, entries: ofPruned.seq - 1, ...ofPruned };
  const run = await runAhead(verified, { tree, last });
  const found = run.fault ?? await walk(verified, { from: run, tree, last });
  if ("seq" in found) return { ok: false, ...tree.earlier(found) };
  const fault = tree.finish();
  if (fault !== null) return { ok: false, entries: found.head.seq, ...fault };
  const { seq: entries, hash: head } = found.head;
  const root = tree.root.toBase64();
  return { ok: true, entries, head, pruned: base.seq, root, checkpoints: tree.agreed };
}

interface Task {
  tree: TreeCheck;
  last: number;
}

/** A place in both copies up to which all is sound. */
interface Place {
  head: Head;
  offset: number;
}

/** A fault, and how many entries before it are sound. */
export type Found = Pick<FaultyAudit, "seq" | "entries" | "where" | "reason">;

/**
 * Goes over both copies as fast as that goes, as long as all is as it should be: threads check the lines and compare them
 * with the rows, this one builds the tree. Where something is not, it stops before it, and {@linkcode walk} says what.
 */
async function runAhead({ path, table }: Verified, { tree, last }: Task): Promise<Place & { fault?: Found }> {
  let place: Place = { head: table.base, offset: 0 };
  // Rows below the first can only have been put there by others.
  if ((await table.after(Number.MIN_SAFE_INTEGER, 1))[0]?.seq !== place.head.seq + 1) return place;
  const size = await Deno.stat(path).then(({ size }) => size, () => 0);
  using checkers = new LineCheckers(size, table.path);
  const chunks = lineChunks(path, checkers.chunkBytes);
  const ahead: { bytes: Uint8Array; checking: Promise<CheckedLines | null> }[] = [];
  try {
    for (;;) {
      while (ahead.length < checkers.depth) {
        const { value: bytes } = await chunks.next();
        if (bytes === undefined) break;
        ahead.push({ bytes, checking: checkers.check(bytes) });
      }
      const next = ahead.shift();
      if (next === undefined) return place;
      const checked = await next.checking;
      if (checked === null || checked.prev !== place.head.hash || place.head.seq + checked.count > last) return place;
      if (checked.after !== place.head.seq) return place;
      if (!(checked.sameRows ?? await sameRows(table, next.bytes, checked))) return place;
      const fault = await tree.take(checked.leaves, checked.tiles);
      if (fault !== null) return { ...place, fault: { entries: fault.seq - 1, ...fault } };
      place = {
        head: { seq: place.head.seq + checked.count, hash: checked.hash },
        offset: place.offset + next.bytes.length,
      };
    }
  } finally {
    await chunks.return(undefined);
    await Promise.all(ahead.map(({ checking }) => checking));
  }
}

/** Whether the rows are, one by one, those lines. */
async function sameRows(table: EntriesTable, bytes: Uint8Array, checked: CheckedLines): Promise<boolean> {
  try {
    const lines = linesOf(bytes);
    for (let from = 0; from < checked.count; from += SLICE) {
      const slice = Math.min(SLICE, checked.count - from);
      const rows = await table.rowsAfter(checked.after + from, slice);
      if (rows.length !== slice || !areLines(rows, { lines, checked, from })) return false;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return true;
  } catch {
    return false;
  }
}

/** Goes over both copies entry by entry and says what is wrong. */
async function walk(
  { path, table, lastSeq, lastWritten }: Verified,
  { from, tree, last }: Task & { from: Place },
): Promise<Found | { head: Head }> {
  const rows = tableRows(table, from.head.seq === table.base.seq ? Number.MIN_SAFE_INTEGER : from.head.seq);
  const lines = journalLines(path, from.offset);
  const encoder = new TextEncoder();
  let head = from.head;
  try {
    for (;;) {
      const row: Row = (await rows.next()).value;
      const line: JournalLine | undefined = (await lines.next()).value ?? undefined;
      if (row === undefined && line === undefined && (last === Infinity || head.seq === last)) return { head };
      const fault = head.seq < last
        ? faultAt(head, row, line)
        : faultBeyond(head, { row, line, last: lastSeq(), written: lastWritten() });
      if (fault !== null) return { entries: head.seq, seq: head.seq + 1, ...fault };
      if (head.seq === last) return { head };
      const inTree = await tree.take(leafHash(encoder.encode(line?.text)));
      if (inTree !== null) return { entries: inTree.seq - 1, ...inTree };
      head = row as AuditEntry;
    }
  } finally {
    await lines.return(undefined);
  }
}

/** A row as it was read, or why it was not. */
type Row = AuditEntry | Error | undefined;
type Fault = Pick<FaultyAudit, "where" | "reason">;

async function* tableRows(table: EntriesTable, after: number): AsyncGenerator<AuditEntry | Error, undefined> {
  let seq = after;
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
  { row, line, last, written }: { row: Row; line: JournalLine | undefined; last: number; written: number },
): Fault | null {
  if (row instanceof Error) {
    return { where: "database", reason: `Behind entry ${head.seq} the database cannot be read` };
  }
  if (row !== undefined && (last === head.seq || rowFault(head, row) !== null)) {
    return { where: "database", reason: `In the database an entry numbered ${row.seq} was added behind the last one` };
  }
  // What is not whole is being written, or is overwritten by the next entry.
  if (line?.whole === true && (written <= head.seq || lineFault(head, line) !== null)) {
    return { where: "file", reason: `In audit.log a line was added behind the last entry, ${head.seq}` };
  }
  return null;
}
