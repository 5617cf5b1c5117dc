import { escaped } from "@ark/node/telemetry";
import { cutToWidth, padToWidth } from "../display_width.ts";
import { type Look, painted } from "../paint.ts";
import { fittingWidths, naturalWidths, TABLE_GAP } from "../table_layout.ts";

/** A piece of a line: where it begins, counted from 0, and how it looks. */
export interface Cell {
  /** What stands there. It may come from anywhere: it is made safe where it is shown. */
  readonly text: string;
  /** How it looks. */
  readonly look: Look;
  /** Column of the terminal. */
  readonly column: number;
}

/** One line of the screen. */
export type Line = readonly Cell[];

/** No name and no sentence is longer. */
const MOST_CHARACTERS = 400;

/** A line that is one piece. */
export function lineOf(text: string, look: Look = "plain"): Line {
  return [{ text, look, column: 0 }];
}

/** A table as lines, its names first. What begins a chosen row says so, for those who see no colours. */
export function tableLines(
  names: readonly string[],
  rows: readonly { readonly cells: readonly string[]; readonly looks?: readonly Look[]; readonly chosen?: boolean }[],
  { columns, keep }: { columns: number; keep: readonly number[] },
): Line[] {
  const indent = 2;
  // As they will be shown: what is spelled out is longer.
  const safe = rows.map((row) => ({ ...row, cells: row.cells.map((cell) => escaped(cell, MOST_CHARACTERS)) }));
  const widths = fittingWidths(naturalWidths(names, safe.map(({ cells }) => cells)), {
    columns: columns - indent,
    keep,
  });
  const starts = widths.map((_, at) => widths.slice(0, at).reduce((sum, width) => sum + width + TABLE_GAP, indent));
  const placed = (cells: readonly string[], lookOf: (at: number) => Look): Cell[] =>
    cells.map((text, at) => ({
      text: cutToWidth(text, widths[at] ?? 0),
      look: lookOf(at),
      column: starts[at] ?? 0,
    }));
  return [
    placed(names, () => "faint"),
    ...safe.map(({ cells, looks = [], chosen = false }): Line => [
      ...chosen ? [{ text: ">", look: "strong", column: 0 } as const] : [],
      ...placed(cells, (at) => chosen && at === 0 ? "chosen" : looks[at] ?? "plain"),
    ]),
  ];
}

/** A line for a file or another program: without colours, and without what steers a terminal. */
export function lineText(line: Line): string {
  let text = "";
  for (const cell of line) text = padToWidth(text, cell.column) + escaped(cell.text, MOST_CHARACTERS);
  return text.trimEnd();
}

/**
 * A line for a terminal, at most `columns` wide. Each piece is put where it belongs: a character that the terminal takes for
 * wider than it is moves nothing.
 */
export function lineControl(line: Line, { columns, colours }: { columns: number; colours: boolean }): string {
  return line.filter(({ column }) => column < columns).map(({ text, look, column }) => {
    const shown = cutToWidth(escaped(text, MOST_CHARACTERS), columns - column);
    return `\u001b[${column + 1}G${painted(shown, look, { colours })}`;
  }).join("");
}
