import { completeRoot, EMPTY_ROOT, HASH_BYTES, nodeHash, type Tile, TILE_HASHES } from "./merkle_tree.ts";

/**
 * The right edge of a growing tree: of each level of tiles the hashes that fill no tile yet, at most 255. That is all it
 * takes to append and to know the root; full tiles go to whoever keeps them.
 */
export class TreeEdge {
  readonly #levels: Uint8Array[] = [];
  #size = 0;

  /** Leaves of the tree. */
  get size(): number {
    return this.#size;
  }

  /** Takes the place of another edge. */
  static of(size: number, levels: readonly Uint8Array[]): TreeEdge {
    const edge = new TreeEdge();
    edge.#size = size;
    for (const [level, hashes] of levels.entries()) edge.#partial(level).set(hashes);
    return edge;
  }

  /** A copy that grows by itself. */
  copy(): TreeEdge {
    return TreeEdge.of(this.#size, this.#levels);
  }

  /** Appends hashes of leaves that stand one behind the other, and gives each tile that becomes full to `full`. */
  append(leaves: Uint8Array, full: (tile: Tile) => void = () => {}): void {
    for (let at = 0; at < leaves.length; at += HASH_BYTES) {
      this.#put(0, this.#size, { hash: leaves.subarray(at, at + HASH_BYTES), full });
      this.#size++;
    }
  }

  /** Root of the tree. */
  root(): Uint8Array {
    let root: Uint8Array | null = null;
    // From the smallest complete subtree at the right to the largest at the left.
    for (let level = 0; TILE_HASHES ** level <= this.#size; level++) {
      const hashes = this.#partial(level);
      let count = Math.floor(this.#size / TILE_HASHES ** level) % TILE_HASHES;
      for (let width = 1; count > 0; width *= 2) {
        if (count % (2 * width) === 0) continue;
        const start = count - width;
        const part = completeRoot(hashes.subarray(start * HASH_BYTES, count * HASH_BYTES));
        root = root === null ? part : nodeHash(part, root);
        count = start;
      }
    }
    return root ?? EMPTY_ROOT;
  }

  /** Hash of a complete subtree, where it lies in the edge; undefined where it is in a full tile. */
  hash(level: number, index: number): Uint8Array | undefined {
    const tileLevel = Math.floor(level / 8);
    const width = 2 ** (level - 8 * tileLevel);
    const inLevel = Math.floor(this.#size / TILE_HASHES ** tileLevel);
    const start = index * width - Math.floor(inLevel / TILE_HASHES) * TILE_HASHES;
    if (start < 0) return undefined;
    return completeRoot(this.#partial(tileLevel).subarray(start * HASH_BYTES, (start + width) * HASH_BYTES));
  }

  #put(level: number, index: number, { hash, full }: { hash: Uint8Array; full: (tile: Tile) => void }): void {
    const hashes = this.#partial(level);
    const place = index % TILE_HASHES;
    hashes.set(hash, place * HASH_BYTES);
    if (place < TILE_HASHES - 1) return;
    const number = Math.floor(index / TILE_HASHES);
    full({ level, number, hashes: hashes.slice() });
    this.#put(level + 1, number, { hash: completeRoot(hashes), full });
  }

  #partial(level: number): Uint8Array {
    return this.#levels[level] ??= new Uint8Array(TILE_HASHES * HASH_BYTES);
  }
}
