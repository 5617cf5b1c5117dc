import type { SqlValue, Statements } from "@ark/node/store";
import { FIELDS } from "./chain.ts";
import { lineHash } from "./line_hash.ts";
import type { Tile } from "./merkle_tree.ts";
import type { TreeEdge } from "./tree_edge.ts";

/** Lines of `audit.log` that follow each other, and are sound. */
export interface Lines {
  /** Number of the first entry. */
  first: number;
  /** How many. */
  count: number;
  /** Each with its line feed. */
  bytes: Uint8Array;
}

/** Rows of one statement: with eight, a row costs half of what it costs alone; with more, not less. */
const ROWS = 8;

const INSERT = insertOf(1);
const INSERT_ROWS = insertOf(ROWS);
const PUT = "INSERT OR REPLACE INTO audit_tiles (level, number, hashes, root) VALUES (?, ?, ?, ?)";
const LINE_FEED = 10;

const decoder = new TextDecoder();

/** Puts lines into the table as rows, and their hashes into the tree, where there is one; in the caller's transaction. */
export function insertLines(statements: Statements, bytes: Uint8Array, edge: TreeEdge | null): void {
  const full = (tile: Tile) => putTile(tile, statements);
  let values: SqlValue[] = [];
  let start = 0;
  for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
    const line = bytes.subarray(start, end);
    const entry = JSON.parse(decoder.decode(line));
    for (const field of FIELDS) values.push(entry[field] ?? null);
    if (values.length === ROWS * FIELDS.length) {
      statements.run(INSERT_ROWS, ...values);
      values = [];
    }
    edge?.append(lineHash(line), { full });
    start = end + 1;
  }
  for (let at = 0; at < values.length; at += FIELDS.length) {
    statements.run(INSERT, ...values.slice(at, at + FIELDS.length));
  }
}

function insertOf(rows: number): string {
  const row = `(${FIELDS.map(() => "?").join(", ")})`;
  return `INSERT INTO audit_entries (${FIELDS.join(", ")}) VALUES ${Array(rows).fill(row).join(", ")}`;
}

/** Keeps a full tile. */
export function putTile({ level, number, hashes, root }: Tile, statements: Statements): void {
  statements.run(PUT, level, number, hashes, root);
}
