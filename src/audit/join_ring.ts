import type { Logger } from "@ark/node/telemetry";
import { type Head, isSoundAs } from "./chain.ts";
import type { EntriesTable } from "./entries_table.ts";
import type { Journal } from "./journal.ts";
import type { RingContents } from "./journal_ring.ts";
import { nextEntry } from "./recover.ts";

/** Entries that are put into both copies at a time. */
const BATCH = 256;

/** An entry of which the journal proves that it was recorded otherwise, or at all. */
export interface JournalFault {
  /** Its number. */
  seq: number;
  /** What is wrong, in a sentence for a person. */
  reason: string;
}

/**
 * Puts into both copies what was acknowledged and is durable in the journal only. The journal says up to where the file
 * was durable; only what is behind that can have been lost in a crash, so only that comes back. Where both copies end
 * before it, or have another entry in its place, somebody changed them, or this is another log's journal: nothing is
 * changed or appended then.
 */
export async function joinRing(
  { journal, table }: { journal: Journal; table: EntriesTable },
  { head, lastRun }: { head: Head; lastRun: RingContents },
  logger: Logger | undefined,
): Promise<{ head: Head; refusal: string | null; fault?: JournalFault }> {
  const { lines } = lastRun;
  const last = lines.at(-1);
  if (last === undefined || last.seq <= table.base.seq) return { head, refusal: null };
  // Where the last common entry is the same, all before it are.
  const common = lines.findLast(({ seq }) => seq <= head.seq);
  if (common !== undefined && common.seq > table.base.seq) {
    const row = await table.get(common.seq);
    if (row === undefined || !isSoundAs(row, common.text)) {
      return refused(journal, head, await firstOther(table, lines));
    }
  }
  const entries = sound(lines.filter(({ seq }) => seq > head.seq), head);
  if (entries === null) return refused(journal, head, head.seq + 1);
  for (let from = 0; from < entries.length; from += BATCH) {
    const batch = entries.slice(from, from + BATCH);
    const bytes = new TextEncoder().encode(batch.map(({ text }) => text + "\n").join(""));
    await journal.commit(bytes);
    await table.insert([{ first: batch[0]?.head.seq ?? 0, count: batch.length, bytes }]);
  }
  if (entries.length > 0) {
    logger?.warn("Entries that only the journal had are in the audit log again", { count: entries.length });
  }
  return { head: entries.at(-1)?.head ?? head, refusal: null };
}

/** The lines with their places, where they follow `head` without a gap. */
function sound(lines: RingContents["lines"], head: Head): { head: Head; text: string }[] | null {
  const entries: { head: Head; text: string }[] = [];
  let before = head;
  for (const { text } of lines) {
    const entry = nextEntry(text, before);
    if (entry === undefined) return null;
    before = { seq: entry.seq, hash: entry.hash };
    entries.push({ head: before, text });
  }
  return entries;
}

async function firstOther(table: EntriesTable, lines: RingContents["lines"]): Promise<number> {
  for (const { seq, text } of lines) {
    const row = seq > table.base.seq ? await table.get(seq) : undefined;
    if (row !== undefined && !isSoundAs(row, text)) return seq;
  }
  return lines[0]?.seq ?? 0;
}

function refused(
  journal: Journal,
  head: Head,
  seq: number,
): { head: Head; refusal: string; fault: JournalFault } {
  const what = seq > head.seq
    ? `entries from ${seq} on were recorded, as ${journal.ringPath} says, and are missing`
    : `entry ${seq} is not the one that was recorded, as ${journal.ringPath} says`;
  return {
    head,
    refusal:
      `Cannot record: ${what} in the audit log ${journal.path}; put back the files that belong together, or move ` +
      "that journal away, and a restart goes on without it",
    fault: { seq, reason: `In both copies ${what}` },
  };
}
