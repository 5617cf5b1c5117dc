import type { SqlValue } from "@ark/node/store";
import { FIELDS } from "./chain.ts";

const SPECIAL_REGEXP = /["\\\p{Cc}]/u;
const PREFIXES = FIELDS.map((name, index) => `${index === 0 ? "{" : ","}"${name}":`);

/**
 * The line that a row stands for, without making an entry of it first: the same text as `lineOf(entryFrom(row))`, for a
 * row with its columns in the order of {@linkcode FIELDS}.
 */
export function rowLine(row: readonly SqlValue[]): string {
  let line = "";
  for (let index = 0; index < PREFIXES.length; index++) {
    const value = row[index];
    if (value === null) continue;
    line += PREFIXES[index];
    if (typeof value === "string") line += SPECIAL_REGEXP.test(value) ? JSON.stringify(value) : `"${value}"`;
    else line += typeof value === "number" ? value : JSON.stringify(String(value));
  }
  return line + "}";
}
