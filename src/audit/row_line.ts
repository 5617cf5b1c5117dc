import type { SqlValue } from "@ark/node/store";
import { entryFrom, FIELDS, lineOf } from "./chain.ts";

const PREFIXES = FIELDS.map((name, index) => `${index === 0 ? "{" : ","}"${name}":`);

/**
 * Whether a text is the line of a row, which has its columns in the order of {@linkcode FIELDS}. It costs a third of what
 * making an entry and its line costs.
 *
 * @param quotes How many quotation marks the text has, or 0 where it has a backslash. Where there are as many as the
 * fields need, no value has one, and joining the values is no other than writing them as JSON.
 */
export function isLineOf(row: readonly SqlValue[], line: string, quotes: number): boolean {
  let text = "";
  let needed = 0;
  for (let index = 0; index < PREFIXES.length; index++) {
    const value = row[index];
    if (value === null) continue;
    if (typeof value === "string") {
      text += PREFIXES[index] + '"' + value + '"';
      needed += 4;
    } else {
      text += PREFIXES[index] as string + value;
      needed += 2;
    }
  }
  if (quotes === needed) return text + "}" === line;
  return lineOf(entryFrom(Object.fromEntries(FIELDS.map((name, index) => [name, row[index]])))) === line;
}
