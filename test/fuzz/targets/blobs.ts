import assert from "node:assert/strict";
import {
  ArkError,
  Bitfield,
  CHUNK_BYTES,
  chunkCount,
  type ChunkList,
  decodeChunkList,
  decodeHave,
  decodeSignedManifest,
  encodeChunkList,
  encodeHave,
  type ModelManifest,
  MOST_BLOB_BYTES,
  type SignedManifest,
  signManifest,
} from "@ark/node/protocol";
import { decodeState, encodeState } from "../../../src/models/blobs/part_state.ts";
import { identityOfSeed } from "../../transport/mesh_fixture.ts";
import { mutateBytes, mutateJson } from "../mutate.ts";
import { type FuzzTarget, refusedBy, showBytes, shrinkBytes } from "../target.ts";

const [one, two] = [identityOfSeed(1), identityOfSeed(2)];

function manifest(changes: Partial<ModelManifest>): ModelManifest {
  return {
    version: 1,
    model: "llama3.1:8b",
    files: [{ name: "llama.gguf", sha256: "1a".repeat(32), size: 4_711, root: "2b".repeat(32) }],
    template: null,
    system: null,
    parameters: {},
    license: null,
    made_at: "2026-11-21T12:00:00.000Z",
    ...changes,
  };
}

const MANIFESTS: SignedManifest[] = [
  signManifest(one, manifest({})),
  signManifest(two, manifest({ system: "Be kind.", parameters: { temperature: 0.5, stop: ["</s>"] }, license: "mit" })),
  signManifest(
    one,
    manifest({
      model: "big:70b",
      template: "{{ .Prompt }}",
      files: [1, 2, 3].map((part) => ({
        name: `big-0000${part}-of-00003.gguf`,
        sha256: `${part}c`.repeat(32),
        size: 2 ** 36 + part,
        root: `${part}d`.repeat(32),
      })),
    }),
  ),
];
const SIGNED = new Set(MANIFESTS.map((signed) => JSON.stringify(signed)));
const NAMES = [
  ...Object.keys(manifest({})),
  "manifest",
  "signed_by",
  "signature",
  "name",
  "sha256",
  "size",
  "root",
  "__proto__",
];

/** What a peer says makes a model. */
export const signedManifest: FuzzTarget<unknown> = {
  name: "manifest",
  promise: "A manifest is refused as a bad request, or is one that a node signed, to the letter.",
  corpus: MANIFESTS,
  covers: ["/src/protocol/"],
  mutate: (random, value) => mutateJson(random, value, NAMES),
  check(value) {
    let signed: SignedManifest;
    try {
      signed = decodeSignedManifest(value);
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || error.code === "bad_request");
      return refusedBy(error, ArkError);
    }
    assert.ok(SIGNED.has(JSON.stringify(signed)), "Nobody signed this");
    return true;
  },
  show: (value) => JSON.stringify(value) ?? String(value),
};

function listOf(size: number): ChunkList {
  return { size, hashes: new Uint8Array(32 * chunkCount(size)).map((_, index) => index) };
}

/** The hashes of a file's chunks as a peer tells them. */
export const chunkList: FuzzTarget<Uint8Array> = {
  name: "chunk list",
  promise: "A list is refused as a bad request, or has a hash for each chunk of its size, and is spelled in one way.",
  corpus: [1, CHUNK_BYTES, CHUNK_BYTES + 1, 9 * CHUNK_BYTES - 7].map((size) => encodeChunkList(listOf(size))),
  covers: ["/src/protocol/"],
  mutate: (random, bytes, other) => mutateBytes(random, bytes, other),
  check(bytes) {
    let list: ChunkList;
    try {
      list = decodeChunkList(bytes);
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || error.code === "bad_request");
      return refusedBy(error, ArkError);
    }
    assert.ok(Number.isSafeInteger(list.size) && list.size > 0 && list.size <= MOST_BLOB_BYTES);
    assert.equal(list.hashes.length, 32 * chunkCount(list.size));
    assert.equal(encodeChunkList(list).toHex(), bytes.toHex());
    return true;
  },
  show: showBytes,
  shrink: shrinkBytes,
};

const SIZE = 11 * CHUNK_BYTES - 3;

function haveOf(version: number, ...set: number[]): Uint8Array {
  const have = new Bitfield(chunkCount(SIZE));
  for (const index of set) have.set(index);
  return encodeHave({ version, have });
}

/** Which chunks a peer says that it has. */
export const have: FuzzTarget<Uint8Array> = {
  name: "have",
  promise: "A bitfield is refused as a bad request, or has one bit for each chunk, and is spelled in one way.",
  corpus: [haveOf(0), haveOf(3, 0, 5, 10), haveOf(0xffffffff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)],
  covers: ["/src/protocol/"],
  mutate: (random, bytes, other) => mutateBytes(random, bytes, other),
  check(bytes) {
    try {
      const decoded = decodeHave(bytes, SIZE);
      assert.equal(encodeHave(decoded).toHex(), bytes.toHex());
      assert.equal(decoded.have.length, chunkCount(SIZE));
      const set = Array.from({ length: decoded.have.length }, (_, index) => decoded.have.get(index)).filter(Boolean);
      assert.equal(decoded.have.count, set.length);
      return true;
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || error.code === "bad_request");
      return refusedBy(error, ArkError);
    }
  },
  show: showBytes,
  shrink: shrinkBytes,
};

const IDENTITY = { sha256: "3e".repeat(32), list: listOf(SIZE) };
const STATES = [[], [0, 5, 10]].map((set) => {
  const certain = new Bitfield(chunkCount(SIZE));
  for (const index of set) certain.set(index);
  return encodeState(IDENTITY, certain);
});
const CERTAIN = new Set(STATES.map((state) => decodeState(state, IDENTITY)?.certain.bytes().toHex()));

/** The note beside a file that has not come whole, as a crash or a disk may leave it. */
export const partState: FuzzTarget<Uint8Array> = {
  name: "part state",
  promise: "A damaged note says nothing, and no note makes a chunk certain that was not.",
  corpus: [...STATES, ...STATES.map((state) => Uint8Array.of(...state, 0, 0, 0, 2, 0, 0, 0, 11))],
  covers: ["/src/models/blobs/part_state.ts", "/src/protocol/"],
  mutate: (random, bytes, other) => mutateBytes(random, bytes, other),
  check(bytes) {
    const state = decodeState(bytes, IDENTITY);
    if (state === null) return false;
    assert.ok(CERTAIN.has(state.certain.bytes().toHex()));
    for (const index of state.written) assert.ok(index >= 0 && index < chunkCount(SIZE));
    return true;
  },
  show: showBytes,
  shrink: shrinkBytes,
};
