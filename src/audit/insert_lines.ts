import type { Statements } from "@ark/node/store";
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

const INSERT = `INSERT INTO audit_entries (${FIELDS.join(", ")}) VALUES (${FIELDS.map(() => "?").join(", ")})`;
const PUT = "INSERT OR REPLACE INTO audit_tiles (level, number, hashes, root) VALUES (?, ?, ?, ?)";
const LINE_FEED = 10;

const decoder = new TextDecoder();

/** Puts lines into the table as rows, and their hashes into the tree, where there is one; in the caller's transaction. */
export function insertLines(statements: Statements, bytes: Uint8Array, edge: TreeEdge | null): void {
  const full = (tile: Tile) => putTile(tile, statements);
  let start = 0;
  for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
    const line = bytes.subarray(start, end);
    const entry = JSON.parse(decoder.decode(line));
    statements.run(INSERT, ...FIELDS.map((field) => entry[field] ?? null));
    edge?.append(lineHash(line), { full });
    start = end + 1;
  }
}

/** Keeps a full tile. */
export function putTile({ level, number, hashes, root }: Tile, statements: Statements): void {
  statements.run(PUT, level, number, hashes, root);
}
