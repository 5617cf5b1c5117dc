import { displayWidth, wrapWords } from "./display_width.ts";

/** No line of a help is longer: the terminals of many people are so wide. */
export const HELP_COLUMNS = 80;

/**
 * A text in lines of at most 80 columns. Lines that follow each other are one paragraph; what begins with a space is a
 * list, whose lines stay by themselves and go on under their second column.
 */
export function reflow(text: string, columns: number = HELP_COLUMNS): string {
  return text.trim().split(/\n{2,}/).map((paragraph) => reflowParagraph(paragraph, columns).join("\n")).join("\n\n");
}

function reflowParagraph(paragraph: string, columns: number): string[] {
  return itemsOf(paragraph).flatMap((item) =>
    item.startsWith(" ") ? listLine(item, columns) : wrapWords(item, columns)
  );
}

/** The lines of a paragraph, each with those that go on with it. */
function itemsOf(paragraph: string): string[] {
  const items: string[] = [];
  for (const line of paragraph.split("\n")) {
    const last = items.at(-1);
    const indent = line.search(/\S/);
    const goesOn = last !== undefined && (indent === 0 ? !last.startsWith(" ") : indent === secondColumn(last));
    if (goesOn) items[items.length - 1] = `${last} ${line.trim()}`;
    else items.push(line);
  }
  return items;
}

/** Where the second column of a line of a list begins; -1 where it has none. */
function secondColumn(line: string): number {
  return line.match(/^ +\S.*? {2,}(?=\S)/)?.[0].length ?? -1;
}

function listLine(line: string, columns: number): string[] {
  if (displayWidth(line) <= columns) return [line];
  const begin = Math.max(secondColumn(line), line.search(/\S/));
  const indent = " ".repeat(begin);
  const [first = "", ...rest] = wrapWords(line.slice(begin), columns - begin);
  return [line.slice(0, begin) + first, ...rest.map((one) => indent + one)];
}

/** Two columns, the second wrapped under itself; where the first is too wide, the second begins on a line of its own. */
export function twoColumns(
  rows: readonly (readonly [left: string, right: string])[],
  { most, columns = HELP_COLUMNS }: { most: number; columns?: number },
): string {
  const width = Math.min(most, Math.max(0, ...rows.map(([left]) => left.length)));
  const indent = " ".repeat(width + 4);
  return rows.flatMap(([left, right]) => {
    const [first = "", ...rest] = wrapWords(right, columns - indent.length);
    const begin = left.length > width ? [`  ${left}`, indent + first] : [`  ${left.padEnd(width)}  ${first}`];
    return [...begin, ...rest.map((line) => indent + line)];
  }).join("\n");
}
