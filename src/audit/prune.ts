import { ArkError } from "@ark/node/protocol";
import { GENESIS, type Head } from "./chain.ts";
import type { EntriesTable } from "./entries_table.ts";
import type { Journal } from "./journal.ts";
import { journalLines } from "./journal_lines.ts";
import { TILE_HASHES } from "./merkle_tree.ts";

/** Which entries are to go. */
export type PruneRange = { keep: number; before?: never } | { before: string; keep?: never };

const SEQ_REGEXP = /^\{"seq":(\d{1,15}),/;

/**
 * Finds the last entry that can go: pruning ends at the end of a tile, since the hashes of the others are only in their
 * entries.
 *
 * @throws {ArkError} `bad_request` for a range that is none.
 */
export async function pruneEnd(table: EntriesTable, { keep, before }: PruneRange): Promise<Head> {
  let last: number;
  if (keep !== undefined) {
    if (!Number.isSafeInteger(keep) || keep < 1) throw new ArkError("bad_request", "Keep at least 1 entry");
    last = table.tree.size - keep;
  } else {
    const time = new Date(before);
    if (Number.isNaN(time.getTime())) throw new ArkError("bad_request", "The date is none: write it as 2026-01-31");
    last = Math.min(await table.lastBefore(time.toISOString()), table.tree.size - 1);
  }
  const seq = Math.floor(last / TILE_HASHES) * TILE_HASHES;
  if (seq <= table.base.seq) return table.base;
  return await table.get(seq) ?? table.base;
}

/** Brings the file after the database: lets go of the lines up to the last pruned entry, where they are still there. */
export async function dropPruned(journal: Journal, base: Head): Promise<void> {
  if (base.seq === GENESIS.seq) return;
  let offset = 0;
  for await (const { text, end, whole } of journalLines(journal.path, 0)) {
    const seq = Number(SEQ_REGEXP.exec(text)?.[1] ?? NaN);
    // What is no entry is no reason to throw anything away.
    if (!whole || Number.isNaN(seq)) return;
    if (seq > base.seq) break;
    offset = end;
  }
  if (offset > 0) await journal.dropBefore(offset);
}
