import { sha256Into } from "./sha256.ts";

/** Bytes of a hash. */
export const HASH_BYTES = 32;

/** Hashes of a full tile, as C2SP `tlog-tiles` has it: a tile of level L is a subtree of 8 levels above level 8·L. */
export const TILE_HASHES = 256;

/** Most hashes of a proof: the height of a tree of 2^63 entries. */
export const PROOF_LIMIT = 63;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** A full tile: the hashes of 256 neighbouring nodes of one level, one behind the other. */
export interface Tile {
  /** 0 for the leaves, 1 for the roots of 256 leaves, and so on. */
  level: number;
  /** 0 for the first tile of the level. */
  number: number;
  /** 256 hashes, 8,192 bytes. */
  hashes: Uint8Array;
  /** Root of them, 32 bytes. */
  root: Uint8Array;
}

/**
 * Gives the hash of a complete subtree: of the `2^level` leaves from `index · 2^level` on. It is only asked for those of
 * which all leaves are in the tree.
 */
export type HashReader = (level: number, index: number) => Uint8Array | Promise<Uint8Array>;

/** Hash of a leaf, RFC 6962 §2.1: `SHA-256(0x00 || data)`. */
export function leafHash(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const hash = new Uint8Array(HASH_BYTES);
  sha256Into(hash, 0, { prefix: LEAF, bytes: data });
  return hash;
}

/** Hash of a node: `SHA-256(0x01 || left || right)`. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const pair = new Uint8Array(2 * HASH_BYTES);
  pair.set(left);
  pair.set(right, HASH_BYTES);
  const hash = new Uint8Array(HASH_BYTES);
  sha256Into(hash, 0, { prefix: NODE, bytes: pair });
  return hash;
}

/** Writes the hash of a node to `hashes` at `at`; the two below it stand there from `below` on, one behind the other. */
export function parentInto(hashes: Uint8Array, at: number, below: number): void {
  sha256Into(hashes, at, { prefix: NODE, bytes: hashes, start: below, end: below + 2 * HASH_BYTES });
}

/** Root of a tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = emptyRoot();

/** Root of a complete subtree from its lowest hashes, whose number is a power of two. */
export function completeRoot(hashes: Uint8Array): Uint8Array<ArrayBuffer> {
  let level = new Uint8Array(hashes);
  while (level.length > HASH_BYTES) {
    const above = new Uint8Array(level.length / 2);
    for (let at = 0; at < above.length; at += HASH_BYTES) {
      sha256Into(above, at, { prefix: NODE, bytes: level, start: 2 * at, end: 2 * at + 2 * HASH_BYTES });
    }
    level = above;
  }
  return level;
}

/** Root of the tree of the first `size` leaves. */
export async function rootAt(size: number, read: HashReader): Promise<Uint8Array> {
  return size === 0 ? EMPTY_ROOT : await rangeHash(0, size, read);
}

/**
 * Proof that the leaf `index` is in the tree of the first `size` leaves, RFC 6962 §2.1.1.
 *
 * @throws {RangeError} Where there is no such leaf.
 */
export async function inclusionProof(index: number, size: number, read: HashReader): Promise<Uint8Array[]> {
  if (!isCount(index) || !isCount(size) || index >= size) throw new RangeError("The tree has no such leaf");
  const proof: Uint8Array[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + split(to - from);
    if (index < middle) {
      proof.push(await rangeHash(middle, to, read));
      to = middle;
    } else {
      proof.push(await rangeHash(from, middle, read));
      from = middle;
    }
  }
  return proof.reverse();
}

/**
 * Proof that the tree of the first `size` leaves goes on from that of the first `old`, RFC 6962 §2.1.2. Empty where `old`
 * is 0 or `size`.
 *
 * @throws {RangeError} Where `old` is more than `size`.
 */
export async function consistencyProof(old: number, size: number, read: HashReader): Promise<Uint8Array[]> {
  if (!isCount(old) || !isCount(size) || old > size) throw new RangeError("The tree was never of that size");
  const proof: Uint8Array[] = [];
  if (old === 0 || old === size) return proof;
  let [from, to] = [0, size];
  while (to !== old) {
    const middle = from + split(to - from);
    if (old <= middle) {
      proof.push(await rangeHash(middle, to, read));
      to = middle;
    } else {
      proof.push(await rangeHash(from, middle, read));
      from = middle;
    }
  }
  // The verifier knows the old root itself where the old tree is one complete subtree.
  if (from > 0) proof.push(await rangeHash(from, to, read));
  return proof.reverse();
}

/** Whether a proof shows that a leaf is in a tree. Pure; anything may be given. */
export function verifyInclusion(
  { index, size, root, leaf, proof }: {
    /** Number of the leaf, from 0. */
    index: number;
    /** Leaves of the tree. */
    size: number;
    /** Root of the tree. */
    root: Uint8Array;
    /** Hash of the leaf. */
    leaf: Uint8Array;
    /** From the leaf upwards. */
    proof: readonly Uint8Array[];
  },
): boolean {
  if (!isCount(index) || !isCount(size) || index >= size || proof.length > PROOF_LIMIT) return false;
  let hash = leaf;
  const whole = climb([index, size - 1], {
    siblings: proof,
    meet: (sibling, left) => hash = left ? nodeHash(sibling, hash) : nodeHash(hash, sibling),
  });
  return whole && sameHash(hash, root);
}

/** Whether a proof shows that a tree goes on from an older one. Pure; anything may be given. */
export function verifyConsistency(
  { old, size, oldRoot, root, proof }: {
    /** Leaves of the older tree. */
    old: number;
    /** Leaves of the tree. */
    size: number;
    /** Root of the older tree. */
    oldRoot: Uint8Array;
    /** Root of the tree. */
    root: Uint8Array;
    /** As {@linkcode consistencyProof} makes it. */
    proof: readonly Uint8Array[];
  },
): boolean {
  if (!isCount(old) || !isCount(size) || old > size || proof.length > PROOF_LIMIT) return false;
  if (old === 0) return proof.length === 0 && sameHash(oldRoot, EMPTY_ROOT);
  if (old === size) return proof.length === 0 && sameHash(oldRoot, root);
  let [node, last] = [old - 1, size - 1];
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  const [first, ...rest] = node === 0 ? [oldRoot, ...proof] : proof;
  if (first === undefined) return false;
  let before = first;
  let now = first;
  const whole = climb([node, last], {
    siblings: rest,
    meet(sibling, left) {
      if (left) before = nodeHash(sibling, before);
      now = left ? nodeHash(sibling, now) : nodeHash(now, sibling);
    },
  });
  return whole && sameHash(before, oldRoot) && sameHash(now, root);
}

/**
 * Goes from a node and the last one of its level up to the root, and tells of each sibling on the way whether it is on the left
 * (RFC 9162, 2.1.3.2). False where there are too many of them or too few.
 */
function climb(
  [node, last]: [number, number],
  { siblings, meet }: { siblings: readonly Uint8Array[]; meet(sibling: Uint8Array, left: boolean): void },
): boolean {
  for (const sibling of siblings) {
    if (last === 0) return false;
    const left = node % 2 === 1 || node === last;
    meet(sibling, left);
    while (left && node % 2 === 0 && node > 0) [node, last] = [half(node), half(last)];
    [node, last] = [half(node), half(last)];
  }
  return last === 0;
}

/** Whether two hashes are the same. Neither is a secret. */
export function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) {
    if (a[index] !== b[index]) return false;
  }
  return true;
}

/** Hash over the leaves from `from` to `to`, where `from` is a multiple of a power of two that is not below their number. */
async function rangeHash(from: number, to: number, read: HashReader): Promise<Uint8Array> {
  const count = to - from;
  const level = Math.ceil(Math.log2(count));
  if (count === 2 ** level) return await read(level, from / count);
  const middle = from + split(count);
  const left = await rangeHash(from, middle, read);
  return nodeHash(left, await rangeHash(middle, to, read));
}

/** The largest power of two below `count`, which is at least 2. */
function split(count: number): number {
  let power = 1;
  while (2 * power < count) power *= 2;
  return power;
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function emptyRoot(): Uint8Array {
  const hash = new Uint8Array(HASH_BYTES);
  sha256Into(hash, 0, { bytes: new Uint8Array(0) });
  return hash;
}
