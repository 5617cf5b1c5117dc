/**
 * Thread of {@linkcode LineCheckers}: bytes in, what {@linkcode checkLines} says out, in the order in which they came. The
 * first message is the path of the database, or null: with it, the rows are compared here, too.
 *
 * @module
 */
import { RowReader } from "@ark/node/store";
import { ROWS } from "./entries_table.ts";
import { type CheckedLines, checkLines } from "./line_check.ts";
import { areLines, linesOf } from "./same_rows.ts";

/** What a thread has; the types of the program are those of its main thread. */
interface Thread {
  onmessage: ((event: { data: Uint8Array | string | null }) => void) | null;
  postMessage(message: unknown): void;
}

const thread = globalThis as unknown as Thread;
let rows: RowReader | null = null;

thread.onmessage = ({ data }) => {
  if (data instanceof Uint8Array) thread.postMessage(withRows(data));
  else rows = opened(data);
};

function opened(path: string | null): RowReader | null {
  try {
    return path === null ? null : new RowReader(path);
  } catch {
    // The thread that asked compares by itself then.
    return null;
  }
}

function withRows(bytes: Uint8Array): CheckedLines | null {
  const checked = checkLines(bytes);
  if (checked === null || rows === null) return checked;
  try {
    const found = rows.arrays(ROWS, checked.after, checked.count);
    const same = found.length === checked.count && areLines(found, { lines: linesOf(bytes), checked, from: 0 });
    return { ...checked, sameRows: same };
  } catch {
    return { ...checked, sameRows: false };
  }
}
