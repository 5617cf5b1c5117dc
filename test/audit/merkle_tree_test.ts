import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  consistencyProof,
  EMPTY_ROOT,
  HASH_BYTES,
  type HashReader,
  inclusionProof,
  leafHash,
  rootAt,
  type Tile,
  TILE_HASHES,
  verifyConsistency,
  verifyInclusion,
} from "../../src/audit/merkle_tree.ts";
import { sha256Into } from "../../src/audit/sha256.ts";
import { knownTiles, TILE_NODES, TreeEdge } from "../../src/audit/tree_edge.ts";

/** The definition of RFC 6962 §2.1, word for word. */
function definition(leaves: readonly Uint8Array[]): Uint8Array {
  const sha256 = (...parts: Uint8Array[]) => {
    const hash = createHash("sha256");
    parts.forEach((part) => hash.update(part));
    return new Uint8Array(hash.digest());
  };
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return sha256(Uint8Array.of(0), leaves[0] ?? new Uint8Array());
  let k = 1;
  while (2 * k < leaves.length) k *= 2;
  return sha256(Uint8Array.of(1), definition(leaves.slice(0, k)), definition(leaves.slice(k)));
}

function leavesOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, number) => new TextEncoder().encode(`leaf ${number}`));
}

function readerOf(leaves: readonly Uint8Array[]): HashReader {
  const known = new Map<string, Uint8Array>();
  return (level, index) => {
    const width = 2 ** level;
    assert.ok((index + 1) * width <= leaves.length, "only whole subtrees are asked for");
    const name = `${level} ${index}`;
    const hash = known.get(name) ?? definition(leaves.slice(index * width, (index + 1) * width));
    known.set(name, hash);
    return hash;
  };
}

/** The roots of all sizes. */
function rootsOf(leaves: readonly Uint8Array[]): Uint8Array[] {
  return Array.from({ length: leaves.length + 1 }, (_, size) => definition(leaves.slice(0, size)));
}

/** The reference vectors of the Certificate Transparency project. */
const INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
  .map((hex) => Uint8Array.fromHex(hex));
const ROOTS = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

Deno.test("sha256Into() is SHA-256, at every length and behind every prefix", () => {
  const data = Uint8Array.from({ length: 400 }, (_, index) => index * 7);
  for (let length = 0; length <= 300; length++) {
    for (const prefix of [new Uint8Array(), Uint8Array.of(1), data.subarray(3, 15), data.subarray(0, 63)]) {
      const out = new Uint8Array(40);
      sha256Into(out, 5, { prefix, bytes: data, start: 9, end: 9 + length });
      const expected = createHash("sha256").update(prefix).update(data.subarray(9, 9 + length)).digest("hex");
      assert.equal(out.subarray(5, 37).toHex(), expected, `${length} behind ${prefix.length}`);
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 5_000 }), (bytes) => {
    const out = new Uint8Array(32);
    sha256Into(out, 0, { bytes });
    assert.equal(out.toHex(), createHash("sha256").update(bytes).digest("hex"));
  }));
});

Deno.test("TreeEdge and rootAt() give the roots of Certificate Transparency's reference vectors", async () => {
  const edge = new TreeEdge();
  for (const [size, root] of ROOTS.entries()) {
    assert.equal(edge.root().toHex(), root);
    assert.equal((await rootAt(size, readerOf(INPUTS))).toHex(), root);
    const input = INPUTS[size];
    if (input !== undefined) edge.append(leafHash(input));
  }
});

Deno.test("inclusionProof() and consistencyProof() give the reference vectors", async () => {
  const hex = async (proof: Promise<Uint8Array[]>) => (await proof).map((hash) => hash.toHex());
  assert.deepEqual(await hex(inclusionProof(0, 8, readerOf(INPUTS))), [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
  ]);
  assert.deepEqual(await hex(inclusionProof(2, 3, readerOf(INPUTS))), [
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  ]);
  assert.deepEqual(await hex(consistencyProof(1, 8, readerOf(INPUTS))), [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
  ]);
  assert.deepEqual(await hex(consistencyProof(6, 8, readerOf(INPUTS))), [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  ]);
});

Deno.test("Inclusion proofs of every leaf of every size up to 70 hold, and no other leaf, size, root or proof does", async () => {
  const leaves = leavesOf(71);
  const read = readerOf(leaves);
  const roots = rootsOf(leaves);
  for (let size = 1; size <= 70; size++) {
    const root = roots[size] ?? EMPTY_ROOT;
    for (let index = 0; index < size; index++) {
      const proof = await inclusionProof(index, size, read);
      const leaf = leafHash(leaves[index] ?? new Uint8Array());
      const claim = { index, size, root, leaf, proof };
      assert.ok(verifyInclusion(claim), `${index} of ${size}`);
      assert.ok(!verifyInclusion({ ...claim, leaf: leafHash(leaves[70] ?? new Uint8Array()) }));
      if (size > 1) assert.ok(!verifyInclusion({ ...claim, index: (index + 1) % size }));
      assert.ok(!verifyInclusion({ ...claim, proof: [...proof, root] }));
      assert.ok(!verifyInclusion({ ...claim, root: EMPTY_ROOT }));
      if (proof.length > 0) assert.ok(!verifyInclusion({ ...claim, proof: proof.slice(1) }));
    }
    assert.ok(!verifyInclusion({ index: size, size, root, leaf: root, proof: [] }));
  }
});

Deno.test("Consistency proofs between all sizes up to 70 hold, and fail for any other history", async () => {
  const leaves = leavesOf(70);
  const read = readerOf(leaves);
  const roots = rootsOf(leaves);
  const forged = leaves.with(3, new TextEncoder().encode("forged"));
  const readForged = readerOf(forged);
  const forgedRoots = rootsOf(forged);
  for (let size = 0; size <= 70; size++) {
    const root = roots[size] ?? EMPTY_ROOT;
    for (let old = 0; old <= size; old++) {
      const proof = await consistencyProof(old, size, read);
      const claim = { old, size, oldRoot: roots[old] ?? EMPTY_ROOT, root, proof };
      assert.ok(verifyConsistency(claim), `${old} to ${size}`);
      assert.ok(!verifyConsistency({ ...claim, proof: [...proof, root] }), `${old} to ${size}`);
      if (proof.length > 0) assert.ok(!verifyConsistency({ ...claim, proof: proof.slice(0, -1) }));
      if (old > 3) assert.ok(!verifyConsistency({ ...claim, oldRoot: forgedRoots[old] ?? EMPTY_ROOT }));
      if (old > 0 && old < size) {
        const other = await consistencyProof(old, size, readForged);
        const lie = { old, size, oldRoot: claim.oldRoot, root: forgedRoots[size] ?? EMPTY_ROOT, proof: other };
        assert.equal(verifyConsistency(lie), old <= 3);
      }
    }
  }
  await assert.rejects(consistencyProof(3, 2, read), RangeError);
  await assert.rejects(inclusionProof(2, 2, read), RangeError);
});

Deno.test("TreeEdge with its tiles gives every root and every subtree of all sizes up to 700", async () => {
  const leaves = leavesOf(700);
  const hashes = leaves.map(leafHash);
  const tiles = new Map<string, Tile>();
  const edge = new TreeEdge();
  const read: HashReader = (level, index) => {
    const inEdge = edge.hash(level, index);
    if (inEdge !== undefined) return inEdge;
    const tileLevel = Math.floor(level / 8);
    const width = 2 ** (level % 8);
    const tile = tiles.get(`${tileLevel} ${Math.floor(index * width / TILE_HASHES)}`);
    assert.ok(tile !== undefined);
    const start = index * width % TILE_HASHES * HASH_BYTES;
    const part = TreeEdge.of(width, [tile.hashes.subarray(start, start + width * HASH_BYTES)]);
    return width === TILE_HASHES ? assert.fail("a full tile is a hash of the level above") : part.root();
  };
  const naive: Uint8Array[] = [];
  for (const [size, leaf] of hashes.entries()) {
    if (size % 37 === 0 || size % 256 < 2) {
      naive.push(definition(leaves.slice(0, size)));
      assert.equal(edge.root().toHex(), naive.at(-1)?.toHex(), `size ${size}`);
      assert.equal((await rootAt(size, read)).toHex(), edge.root().toHex());
      assert.equal(edge.copy().root().toHex(), edge.root().toHex());
    }
    edge.append(leaf, { full: (tile) => void tiles.set(`${tile.level} ${tile.number}`, tile) });
  }
  assert.deepEqual([...tiles.keys()], ["0 0", "0 1"]);
  for (const old of [1, 255, 256, 257, 300, 512, 699]) {
    const proof = await consistencyProof(old, 700, read);
    assert.ok(verifyConsistency({ old, size: 700, oldRoot: await rootAt(old, read), root: edge.root(), proof }));
  }
});

Deno.test("TreeEdge takes tiles that were made elsewhere for what it would have made itself, at every size", () => {
  const leaves = new Uint8Array(1_100 * HASH_BYTES);
  for (const [index, leaf] of leavesOf(1_100).entries()) leaves.set(leafHash(leaf), index * HASH_BYTES);
  for (const from of [0, 1, 255, 256, 300, 900]) {
    const edge = new TreeEdge();
    edge.append(leaves.subarray(0, from * HASH_BYTES));
    const [own, other] = [edge, edge.copy()];
    const rest = leaves.subarray(from * HASH_BYTES);
    const known = knownTiles(rest, from);
    const [tiles, otherTiles]: [Tile[], Tile[]] = [[], []];
    for (let at = 0; at < rest.length; at += HASH_BYTES) {
      const leaf = rest.subarray(at, at + HASH_BYTES);
      own.append(leaf, { full: (tile) => void tiles.push(tile) });
      other.append(leaf, { full: (tile) => void otherTiles.push(tile), known });
      assert.equal(other.root().toHex(), own.root().toHex(), `size ${own.size} from ${from}`);
    }
    assert.deepEqual(otherTiles, tiles);
    assert.equal(known.first, Math.ceil(from / TILE_HASHES));
    assert.equal(known.nodes.length, (4 - known.first) * TILE_NODES * HASH_BYTES);
  }
  const tile = leaves.subarray(0, TILE_HASHES * HASH_BYTES);
  const forged = knownTiles(tile, 0);
  forged.nodes.fill(7, TILE_HASHES * HASH_BYTES);
  const edge = new TreeEdge();
  edge.append(tile, { known: forged });
  assert.deepEqual(edge.root(), new Uint8Array(HASH_BYTES).fill(7), "What is known is not made once more");
});

Deno.test("verifyInclusion() and verifyConsistency() take anything without throwing", () => {
  const number = fc.oneof(fc.nat(100), fc.double(), fc.constantFrom(-1, NaN, 2 ** 53, 2 ** 60));
  const hash = fc.uint8Array({ maxLength: 40 });
  const proof = fc.array(hash, { maxLength: 80 });
  fc.assert(fc.property(number, number, hash, hash, proof, (a, b, root, leaf, proof) => {
    assert.ok(!verifyInclusion({ index: a, size: b, root, leaf, proof }));
    assert.ok(a === b || !verifyConsistency({ old: a, size: b, oldRoot: leaf, root, proof }));
  }));
});
