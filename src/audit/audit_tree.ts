import type { Store } from "@ark/node/store";
import { lineOf } from "./chain.ts";
import type { EntriesTable } from "./entries_table.ts";
import { putTile } from "./insert_lines.ts";
import { lineHash } from "./line_hash.ts";
import { completeRoot, HASH_BYTES, rootAt, TILE_HASHES } from "./merkle_tree.ts";
import { TreeEdge } from "./tree_edge.ts";

const encoder = new TextEncoder();

/** Entries that are hashed at a time where tiles have to be made anew. */
const BATCH = TILE_HASHES;

/**
 * The RFC 6962 tree over the lines of `audit.log`, leaf `seq - 1` for entry `seq`. Its edge is in memory, its full tiles
 * are rows of the table `audit_tiles`, numbered as C2SP `tlog-tiles` numbers files: so entries, tiles and checkpoints
 * change in one transaction, and a log of a million entries does not come with four thousand files.
 */
export class AuditTree {
  readonly #store: Store;
  #edge = new TreeEdge();
  #fault: string | null = null;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Why the tree cannot be used, in a sentence, or null. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Leaves of the tree: number of the last entry in the table. */
  get size(): number {
    return this.#edge.size;
  }

  /** Root over all entries in the table. */
  root(): Uint8Array {
    return this.#edge.root();
  }

  /** Root over the first `size` entries. */
  rootAt(size: number): Promise<Uint8Array> {
    return rootAt(size, (level, index) => this.hash(level, index));
  }

  /** Hash of a complete subtree, from memory or its tile. */
  async hash(level: number, index: number): Promise<Uint8Array> {
    const known = this.#edge.hash(level, index);
    if (known !== undefined) return known;
    const tileLevel = Math.floor(level / 8);
    const width = 2 ** (level - 8 * tileLevel);
    const hashes = await this.tile(tileLevel, Math.floor(index * width / TILE_HASHES));
    if (hashes === undefined) throw new Error("A tile of the audit log's tree is missing");
    const start = index * width % TILE_HASHES;
    return completeRoot(hashes.subarray(start * HASH_BYTES, (start + width) * HASH_BYTES));
  }

  /** Hashes of a full tile. */
  async tile(level: number, number: number): Promise<Uint8Array | undefined> {
    const row = await this.#store.selectFrom("audit_tiles").select("hashes").where("level", "=", level)
      .where("number", "=", number).executeTakeFirst();
    return row?.hashes;
  }

  /**
   * Reads the edge for a table whose last entry is `size`. Tiles that are missing, as in a database of an older version,
   * are made from the entries.
   */
  async load(table: EntriesTable, size: number): Promise<void> {
    const tiled = await this.#fullTiles(size) * TILE_HASHES;
    const levels: Uint8Array[] = [new Uint8Array(0)];
    for (let count = Math.floor(tiled / TILE_HASHES); count > 0; count = Math.floor(count / TILE_HASHES)) {
      levels.push(await this.#rootsOf(levels.length - 1, count));
    }
    this.#edge = TreeEdge.of(tiled, levels);
    while (this.size < size) {
      const entries = await table.after(this.size, Math.min(BATCH, size - this.size));
      const next = this.size + 1;
      if (entries[0]?.seq !== next || entries.at(-1)?.seq !== this.size + entries.length) {
        this.#fault = `The tree of the audit log cannot be made: its database lacks entry ${next} or one soon after`;
        return;
      }
      const edge = this.#edge.copy();
      await this.#store.batch((statements) => {
        for (const entry of entries) {
          edge.append(lineHash(encoder.encode(lineOf(entry))), { full: (tile) => putTile(tile, statements) });
        }
      });
      this.#edge = edge;
    }
  }

  /** A copy of its edge, to let grow; null where the tree cannot be used. Give it to {@linkcode commit} then. */
  edge(): TreeEdge | null {
    return this.#fault === null ? this.#edge.copy() : null;
  }

  /** Takes the edge that has grown, when its tiles are in the table. */
  commit(edge: TreeEdge | null): void {
    if (edge !== null) this.#edge = edge;
  }

  /** How many tiles of the leaves are there without a gap, of those that a tree of that size has. */
  async #fullTiles(size: number): Promise<number> {
    const most = Math.floor(size / TILE_HASHES);
    const { count } = await this.#store.selectFrom("audit_tiles").select(({ fn }) => fn.countAll<number>().as("count"))
      .where("level", "=", 0).where("number", "<", most).executeTakeFirstOrThrow();
    return Number(count);
  }

  /** The roots of the tiles of a level that fill no tile of the level above. */
  async #rootsOf(level: number, count: number): Promise<Uint8Array> {
    const first = Math.floor(count / TILE_HASHES) * TILE_HASHES;
    const rows = await this.#store.selectFrom("audit_tiles").select("root").where("level", "=", level)
      .where("number", ">=", first).where("number", "<", count).orderBy("number").execute();
    const roots = new Uint8Array(rows.length * HASH_BYTES);
    for (const [index, { root }] of rows.entries()) roots.set(root.subarray(0, HASH_BYTES), index * HASH_BYTES);
    return roots;
  }
}
