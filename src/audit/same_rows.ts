import type { SqlValue } from "@ark/node/store";
import type { CheckedLines } from "./line_check.ts";
import { isLineOf } from "./row_line.ts";

/** Lines to compare: what {@linkcode linesOf} made of them, and what their check said. */
export interface Compared {
  /** The lines. */
  lines: readonly string[];
  /** What is known of them. */
  checked: Pick<CheckedLines, "after" | "quotes">;
  /** Which of the lines the first row is to be. */
  from: number;
}

/** Lines as texts, without their line feeds. Throws where they are no UTF-8. */
export function linesOf(bytes: Uint8Array): string[] {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).split("\n");
}

/** Whether rows, with their columns in the order of a line's fields, are one by one the lines from a place on. */
export function areLines(rows: readonly SqlValue[][], { lines, checked, from }: Compared): boolean {
  for (const [index, row] of rows.entries()) {
    const at = from + index;
    if (row[0] !== checked.after + at + 1 || !isLineOf(row, lines[at] ?? "", checked.quotes[at] ?? 0)) return false;
  }
  return true;
}
