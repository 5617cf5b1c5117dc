import { EMPTY_ROOT, HASH_BYTES, nodeHash, parentInto, type Tile, TILE_HASHES } from "./merkle_tree.ts";

/** Nodes of a full tile: its 256 hashes, the 128 above them, and so on up to its root. */
export const TILE_NODES: number = 2 * TILE_HASHES - 1;

/** Nodes of tiles that follow each other, computed elsewhere. Whoever hands them over vouches for them. */
export interface KnownTiles {
  /** Number of the first tile. */
  first: number;
  /** {@linkcode TILE_NODES} hashes for each, level by level from the lowest. */
  nodes: Uint8Array;
}

/** What {@linkcode TreeEdge.append} is told beside the hashes. */
export interface GrowOptions {
  /** Gets each tile that becomes full. */
  full?: (tile: Tile) => void;
  /** Tiles that need not be computed. */
  known?: KnownTiles | undefined;
}

/** A {@linkcode TreeEdge} as it goes to another thread. */
export interface EdgeState {
  /** Leaves of the tree. */
  size: number;
  /** Nodes of the tile that is being filled, for each level of tiles. */
  levels: Uint8Array<ArrayBuffer>[];
}

/**
 * The right edge of a growing tree: of each level of tiles the hashes that fill no tile yet, at most 255, with the complete
 * subtrees over them. That is all it takes to append and to know the root, each with a few hashes; full tiles go to
 * whoever keeps them.
 */
export class TreeEdge {
  readonly #levels: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  /** Leaves of the tree. */
  get size(): number {
    return this.#size;
  }

  /** Takes the place of another edge, of which the hashes are given that fill no tile yet, from the lowest level on. */
  static of(size: number, levels: readonly Uint8Array[]): TreeEdge {
    const edge = new TreeEdge();
    edge.#size = size;
    for (const [level, hashes] of levels.entries()) {
      const nodes = edge.#partial(level);
      nodes.set(hashes.subarray(0, TILE_HASHES * HASH_BYTES));
      for (let place = 0; place < hashes.length / HASH_BYTES; place++) climb(nodes, place);
    }
    return edge;
  }

  /** The edge of a state, whose arrays it takes. */
  static from({ size, levels }: EdgeState): TreeEdge {
    const edge = new TreeEdge();
    edge.#size = size;
    edge.#levels.push(...levels);
    return edge;
  }

  /** A copy of what it is. */
  state(): EdgeState {
    return { size: this.#size, levels: this.#levels.map((nodes) => nodes.slice()) };
  }

  /** A copy that grows by itself. */
  copy(): TreeEdge {
    return TreeEdge.from(this.state());
  }

  /** Appends hashes of leaves that stand one behind the other. */
  append(leaves: Uint8Array, { full = () => {}, known }: GrowOptions = {}): void {
    for (let at = 0; at < leaves.length; at += HASH_BYTES) {
      this.#put(0, this.#size, { hash: leaves.subarray(at, at + HASH_BYTES), full, known });
      this.#size++;
    }
  }

  /** Root of the tree. */
  root(): Uint8Array {
    let root: Uint8Array | null = null;
    // From the smallest complete subtree at the right to the largest at the left.
    for (let level = 0; TILE_HASHES ** level <= this.#size; level++) {
      const nodes = this.#partial(level);
      let count = Math.floor(this.#size / TILE_HASHES ** level) % TILE_HASHES;
      for (let height = 0; count > 0; height++) {
        if (count % 2 === 1) {
          const part = nodeOf(nodes, height, count - 1);
          root = root === null ? part.slice() : nodeHash(part, root);
        }
        count >>= 1;
      }
    }
    return root ?? EMPTY_ROOT;
  }

  /** Hash of a complete subtree, where it lies in the edge; undefined where it is in a full tile. */
  hash(level: number, index: number): Uint8Array | undefined {
    const tileLevel = Math.floor(level / 8);
    const height = level - 8 * tileLevel;
    const inLevel = Math.floor(this.#size / TILE_HASHES ** tileLevel);
    const place = index - Math.floor(inLevel / TILE_HASHES) * (TILE_HASHES >> height);
    return place < 0 ? undefined : nodeOf(this.#partial(tileLevel), height, place).slice();
  }

  #put(
    level: number,
    index: number,
    { hash, full, known }: { hash: Uint8Array; full: (tile: Tile) => void; known?: KnownTiles | undefined },
  ): void {
    const nodes = this.#partial(level);
    const place = index % TILE_HASHES;
    const number = (index - place) / TILE_HASHES;
    nodes.set(hash, place * HASH_BYTES);
    climb(nodes, place, known === undefined ? undefined : tileOf(known, number));
    if (place < TILE_HASHES - 1) return;
    const root = nodeOf(nodes, 8, 0).slice();
    full({ level, number, hashes: nodes.slice(0, TILE_HASHES * HASH_BYTES), root });
    this.#put(level + 1, number, { hash: root, full });
  }

  #partial(level: number): Uint8Array<ArrayBuffer> {
    return this.#levels[level] ??= new Uint8Array(TILE_NODES * HASH_BYTES);
  }
}

/** The nodes of those full tiles that hashes of leaves, one behind the other, fill from the leaf `from` on. */
export function knownTiles(leaves: Uint8Array, from: number): KnownTiles {
  const first = Math.ceil(from / TILE_HASHES);
  const end = Math.floor((from + leaves.length / HASH_BYTES) / TILE_HASHES);
  const nodes = new Uint8Array(Math.max(0, end - first) * TILE_NODES * HASH_BYTES);
  for (let number = first; number < end; number++) {
    const tile = nodes.subarray((number - first) * TILE_NODES * HASH_BYTES);
    const leaf = number * TILE_HASHES - from;
    tile.set(leaves.subarray(leaf * HASH_BYTES, (leaf + TILE_HASHES) * HASH_BYTES));
    for (let place = 1; place < TILE_HASHES; place += 2) climb(tile, place);
  }
  return { first, nodes };
}

/** Makes the subtrees that a hash of a tile completes, or copies them. */
function climb(nodes: Uint8Array, place: number, known?: Uint8Array): void {
  for (let height = 1; place % 2 === 1; height++) {
    place >>= 1;
    const at = startOf(height, place);
    if (known === undefined) parentInto(nodes, at, startOf(height - 1, 2 * place));
    else nodes.set(known.subarray(at, at + HASH_BYTES), at);
  }
}

function tileOf({ first, nodes }: KnownTiles, number: number): Uint8Array | undefined {
  const at = (number - first) * TILE_NODES * HASH_BYTES;
  return at < 0 || at >= nodes.length ? undefined : nodes.subarray(at, at + TILE_NODES * HASH_BYTES);
}

function nodeOf(nodes: Uint8Array, height: number, place: number): Uint8Array {
  const at = startOf(height, place);
  return nodes.subarray(at, at + HASH_BYTES);
}

/** Where a node stands among the nodes of its tile, in bytes. */
function startOf(height: number, place: number): number {
  return (2 * TILE_HASHES - (2 * TILE_HASHES >> height) + place) * HASH_BYTES;
}
