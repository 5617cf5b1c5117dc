import type { AuditTree } from "./audit_tree.ts";
import { type KeptCheckpoint, readCheckpoint } from "./checkpoints.ts";
import { HASH_BYTES, sameHash, type Tile, TILE_HASHES } from "./merkle_tree.ts";
import { type KnownTiles, TreeEdge } from "./tree_edge.ts";
import type { FaultyAudit, Found } from "./verify.ts";

/** What is wrong, where the chain itself is sound. */
export type TreeFault = Pick<FaultyAudit, "seq" | "where" | "reason">;

/** Computes the tree of the entries anew and compares it with the stored tiles and with every checkpoint. */
export class TreeCheck {
  readonly #tree: AuditTree;
  readonly #checkpoints: readonly KeptCheckpoint[];
  readonly #edge = new TreeEdge();
  #next = 0;
  /** Entries that a checkpoint has proven. */
  #proven = 0;
  /** First entry whose stored hash is another; whether it or the hash was changed, the next checkpoint tells. */
  #suspect: number | null = null;

  constructor(tree: AuditTree, checkpoints: readonly KeptCheckpoint[]) {
    this.#tree = tree;
    this.#checkpoints = checkpoints;
  }

  /** Root of what was taken so far. */
  get root(): Uint8Array {
    return this.#edge.root();
  }

  /** Checkpoints that agreed so far. */
  get agreed(): number {
    return this.#next;
  }

  /** Takes the hashes that the tiles have of pruned entries. */
  async takePruned(count: number): Promise<TreeFault | null> {
    for (let number = 0; number < count / TILE_HASHES; number++) {
      const hashes = await this.#tree.tile(0, number);
      if (hashes?.length !== TILE_HASHES * HASH_BYTES) {
        const reason = `The stored hashes of the pruned entries ${number * TILE_HASHES + 1} and following are missing`;
        return { seq: number * TILE_HASHES + 1, where: "tree", reason };
      }
      const fault = await this.take(hashes);
      if (fault !== null) return fault;
    }
    return null;
  }

  /** Takes hashes of the next entries, and the tiles that were made of them already. */
  async take(leaves: Uint8Array, known?: KnownTiles): Promise<TreeFault | null> {
    for (let from = 0; from < leaves.length;) {
      const checkpoint = this.#checkpoints[this.#next];
      const room = Math.max(0, (checkpoint?.size ?? Infinity) - this.#edge.size) * HASH_BYTES;
      const to = Math.min(leaves.length, from + room);
      const tiles: Tile[] = [];
      this.#edge.append(leaves.subarray(from, to), { full: (tile) => void tiles.push(tile), known });
      for (const tile of tiles) await this.#compareTile(tile);
      from = to;
      if (checkpoint === undefined || checkpoint.size > this.#edge.size) continue;
      const fault = await this.#compare(checkpoint);
      if (fault !== null) return fault;
      this.#next++;
    }
    return null;
  }

  /** What is wrong, where the walk over the entries found a fault: perhaps the tree knows of one before. */
  earlier(found: Found): Found {
    const seq = this.#suspect;
    if (seq === null || seq >= found.seq) return found;
    const reason = `Entry ${seq} is the first that is not what the tree says, or was removed; and: ${found.reason}`;
    return { seq, entries: seq - 1, where: "both", reason };
  }

  /** Says what is left to say when all entries were taken. */
  finish(): TreeFault | null {
    const last = this.#checkpoints.at(-1);
    const { size } = this.#edge;
    if (last !== undefined && last.size > size && this.#suspect !== null) {
      const reason = `The log ends at entry ${size}, but a signed checkpoint says that it had ${last.size}: ` +
        `entry ${this.#suspect} is the first that is not what the tree says, or was removed`;
      return { seq: this.#suspect, where: "both", reason };
    }
    if (last !== undefined && last.size > size) {
      const missing = last.size === size + 1
        ? `entry ${last.size} is missing, or one`
        : `entries ${size + 1} to ${last.size} are missing, or as many`;
      return {
        seq: size + 1,
        where: "both",
        reason:
          `The log ends at entry ${size}, but a signed checkpoint says that it had ${last.size}: ${missing} before`,
      };
    }
    if (this.#suspect === null) return null;
    const reason =
      `Entry ${this.#suspect} and the stored hash of it disagree, and no later checkpoint tells which is right`;
    return { seq: this.#suspect, where: "tree", reason };
  }

  async #compare({ size, note }: KeptCheckpoint): Promise<TreeFault | null> {
    const signed = readCheckpoint(note);
    if (signed === null || signed.checkpoint.size !== size) {
      return {
        seq: size,
        where: "tree",
        reason: `The checkpoint of ${size} entries was changed: its signature does not hold`,
      };
    }
    const agrees = sameHash(signed.checkpoint.root, this.#edge.root());
    if (agrees && this.#suspect !== null) {
      const reason = `The stored hash of entry ${this.#suspect} was changed; the entry itself is as it was`;
      return { seq: this.#suspect, where: "tree", reason };
    }
    if (agrees) {
      this.#proven = size;
      return null;
    }
    this.#suspect ??= await this.#firstOther();
    if (this.#suspect !== null) {
      return {
        seq: this.#suspect,
        where: "both",
        reason: `Entry ${this.#suspect} was rewritten in the database and in audit.log: ` +
          `it is not what the tree and the signed checkpoint of ${size} entries say`,
      };
    }
    const first = this.#proven + 1;
    const which = first === size ? `entry ${size}` : `one of the entries ${first} to ${size}`;
    return {
      seq: first,
      where: "both",
      reason: `The log was rewritten in the database and in audit.log: ${which} is not what it was when ` +
        `the checkpoint of ${size} entries was signed`,
    };
  }

  /** The first entry of the tile that is being filled of which the stored tile has another hash. */
  async #firstOther(): Promise<number | null> {
    const { size } = this.#edge;
    const number = Math.floor(size / TILE_HASHES);
    const stored = await this.#tree.tile(0, number);
    for (let index = number * TILE_HASHES; stored !== undefined && index < size; index++) {
      const at = (index - number * TILE_HASHES) * HASH_BYTES;
      const hash = this.#edge.hash(0, index);
      if (hash !== undefined && !sameHash(hash, stored.subarray(at, at + HASH_BYTES))) return index + 1;
    }
    return null;
  }

  async #compareTile({ level, number, hashes }: Tile): Promise<void> {
    const stored = await this.#tree.tile(level, number);
    if (this.#suspect !== null || (stored !== undefined && sameHash(stored, hashes))) return;
    const width = TILE_HASHES ** level;
    let index = 0;
    for (; index < TILE_HASHES; index++) {
      const at = index * HASH_BYTES;
      if (
        stored === undefined || !sameHash(hashes.subarray(at, at + HASH_BYTES), stored.subarray(at, at + HASH_BYTES))
      ) {
        break;
      }
    }
    this.#suspect = (number * TILE_HASHES + index) * width + 1;
  }
}
