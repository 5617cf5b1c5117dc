import { displayWidth } from "./display_width.ts";

/** Columns of the terminal between two columns of a table. */
export const TABLE_GAP = 2;

/** Below this no column is cut: what is left would say nothing. */
const LEAST_WIDTH = 6;

/** How wide each column of a table would be if nothing were cut. */
export function naturalWidths(names: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return names.map((name, column) =>
    rows.reduce((most, row) => Math.max(most, displayWidth(row[column] ?? "")), displayWidth(name))
  );
}

/** How many columns of the terminal a table lacks; 0 or less where it fits. */
export function missingColumns(widths: readonly number[], columns: number): number {
  return widths.reduce((sum, each) => sum + each, 0) + TABLE_GAP * (widths.length - 1) - columns;
}

/**
 * Widths with which a table fits, as far as it can: it is taken from the widest column, and from those in `keep` only
 * where the others have nothing left to give.
 */
export function fittingWidths(
  natural: readonly number[],
  { columns, keep }: { columns: number; keep: readonly number[] },
): number[] {
  const widths = [...natural];
  for (const kept of [false, true]) {
    for (let over = missingColumns(widths, columns); over > 0; over--) {
      let widest = -1;
      widths.forEach((width, column) => {
        if (keep.includes(column) === kept && width > LEAST_WIDTH && width >= (widths[widest] ?? 0)) widest = column;
      });
      if (widest < 0) break;
      widths[widest] = (widths[widest] ?? 0) - 1;
    }
  }
  return widths;
}
