/** What is in a SQLite file, for comparing two of them. */
import { DatabaseSync } from "node:sqlite";

/** Rows of every table in the order of all their columns. */
export function contentsOf(path: string): Record<string, Record<string, unknown>[]> {
  using sqlite = new DatabaseSync(path, { readOnly: false });
  const contents: Record<string, Record<string, unknown>[]> = {};
  for (const { name } of tablesIn(sqlite)) {
    const rows = sqlite.prepare(`SELECT * FROM ${name} ORDER BY 1, 2`).all();
    contents[name] = rows.map((row) => ({ ...row }));
  }
  return contents;
}

/** Names and definitions of the tables. */
export function tablesOf(path: string): { name: string; sql: string }[] {
  using sqlite = new DatabaseSync(path);
  return tablesIn(sqlite);
}

function tablesIn(sqlite: DatabaseSync): { name: string; sql: string }[] {
  const rows = sqlite.prepare(
    "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
  ).all();
  return rows.map(({ name, sql }) => ({ name: String(name), sql: String(sql) }));
}
