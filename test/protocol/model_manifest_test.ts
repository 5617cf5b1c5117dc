import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  ArkError,
  canonicalJson,
  decodeModelManifest,
  decodeSignedManifest,
  isSafeName,
  manifestBytes,
  type ModelManifest,
  MOST_BLOB_BYTES,
  MOST_MANIFEST_FILES,
  MOST_MANIFEST_TEXT,
  signManifest,
} from "@ark/node/protocol";
import { identityOfSeed } from "../transport/mesh_fixture.ts";
import { almost, anyJson } from "./json_values.ts";

const identity = identityOfSeed(1);
const FILE = { name: "arkling-9m-q4_0.gguf", sha256: "0a".repeat(32), size: 5_250_000, root: "0b".repeat(32) };
const MANIFEST: ModelManifest = {
  version: 1,
  model: "arkling:9m-q4_0",
  files: [FILE],
  template: null,
  system: 'Be kind, "é" \u2028 😀',
  parameters: { temperature: 0.7, stop: ["</s>"], top_k: 40 },
  license: "apache-2.0",
  made_at: "2026-11-21T12:00:00.000Z",
};
const SIGNED = signManifest(identity, MANIFEST);

function refused(value: unknown, sentence: RegExp, decode: (value: unknown) => unknown = decodeModelManifest): void {
  assert.throws(
    () => decode(value),
    (error) => error instanceof ArkError && error.code === "bad_request" && sentence.test(error.message),
    JSON.stringify(value)?.slice(0, 200),
  );
}

Deno.test("manifestBytes() is this text, byte for byte: signatures of other nodes depend on it", () => {
  const text = 'ark-blobs/1\n{"files":[{"name":"arkling-9m-q4_0.gguf","root":"' + "0b".repeat(32) + '","sha256":"' +
    "0a".repeat(32) + '","size":5250000}],"license":"apache-2.0","made_at":"2026-11-21T12:00:00.000Z",' +
    '"model":"arkling:9m-q4_0","parameters":{"stop":["</s>"],"temperature":0.7,"top_k":40},' +
    '"system":"Be kind, \\"é\\" \u2028 😀","template":null,"version":1}';
  assert.equal(new TextDecoder().decode(manifestBytes(MANIFEST)), text);
  const shuffled = Object.fromEntries(Object.entries(MANIFEST).reverse()) as unknown as ModelManifest;
  assert.deepEqual(manifestBytes(shuffled), manifestBytes(MANIFEST));
  // Ed25519 is deterministic: this is the signature of the key of 32 ones.
  const digest = createHash("sha256").update(SIGNED.signature).digest("hex");
  assert.equal(digest, "631f357183bd49cfa4c5524eaf3e6d00cedef53664fd7708a0f75d654a2fe4b1");
});

Deno.test("canonicalJson() is RFC 8785 for what JSON can say, and nothing else", () => {
  assert.equal(
    canonicalJson({ "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 }),
    '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
  );
  assert.equal(
    canonicalJson([1e21, 1e-7, -0, 333333333.33333329, 4.5, '\u000f\n"\\/']),
    '[1e+21,1e-7,0,333333333.3333333,4.5,"\\u000f\\n\\"\\\\/"]',
  );
  assert.equal(canonicalJson({ a: undefined, b: null }), '{"b":null}');
  for (const value of [NaN, Infinity, "\ud800", { "\udfff": 1 }, () => 1, 1n, undefined, [undefined]]) {
    assert.throws(() => canonicalJson(value), TypeError);
  }
  fc.assert(fc.property(anyJson(), (value) => {
    let text: string;
    try {
      text = canonicalJson(value);
    } catch (error) {
      return assert.ok(error instanceof TypeError);
    }
    assert.equal(canonicalJson(JSON.parse(text)), text);
  }));
});

Deno.test("decodeSignedManifest() takes what signManifest() made, and no changed byte of it", () => {
  assert.deepEqual(decodeSignedManifest(JSON.parse(JSON.stringify(SIGNED))), SIGNED);
  const decode = decodeSignedManifest;
  const changes: [unknown, RegExp][] = [
    [{ ...SIGNED, manifest: { ...MANIFEST, model: "other:1b" } }, /signature is not that/],
    [{ ...SIGNED, manifest: { ...MANIFEST, system: null } }, /signature is not that/],
    [{ ...SIGNED, signed_by: identityOfSeed(2).id }, /signature is not that/],
    [{ ...SIGNED, signed_by: "x".repeat(56) }, /not signed by a node/],
    [{ ...SIGNED, signature: SIGNED.signature.replace(/=+$/, "") }, /signature is not that/],
    [{ ...SIGNED, signature: SIGNED.signature.toLowerCase() }, /signature is not that/],
    [{ ...SIGNED, signature: `${SIGNED.signature}\n` }, /signature is not that/],
    [{ ...SIGNED, more: 1 }, /unknown field: more/],
    [{ manifest: MANIFEST }, /not signed by a node/],
    [null, /must be an object/],
    [[], /must be an object/],
  ];
  for (const [value, sentence] of changes) refused(value, sentence, decode);
  // The unused bits of the last character: another spelling of the same bytes.
  const last = SIGNED.signature.at(-3) ?? "";
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const twin = alphabet[alphabet.indexOf(last) ^ 1] ?? "";
  refused({ ...SIGNED, signature: `${SIGNED.signature.slice(0, -3)}${twin}==` }, /signature is not that/, decode);
});

Deno.test("decodeModelManifest() refuses what no manifest says, each with a sentence", () => {
  const files = (change: object) => ({ ...MANIFEST, files: [{ ...FILE, ...change }] });
  const many = Array.from({ length: MOST_MANIFEST_FILES + 1 }, (_, index) => ({
    ...FILE,
    name: `${index}.gguf`,
    sha256: index.toString(16).padStart(64, "0"),
  }));
  const changes: [unknown, RegExp][] = [
    [{ ...MANIFEST, version: 2 }, /another version/],
    [{ ...MANIFEST, model: "" }, /non-empty text/],
    [{ ...MANIFEST, model: "a\u202eb" }, /control characters/],
    [{ ...MANIFEST, files: [] }, /non-empty list/],
    [{ ...MANIFEST, files: many }, /at most 1024/],
    [{ ...MANIFEST, files: [FILE, { ...FILE, sha256: "0c".repeat(32), name: FILE.name.toUpperCase() }] }, /same name/],
    [{ ...MANIFEST, files: [FILE, { ...FILE, name: "b.gguf" }] }, /the same file twice/],
    [{ ...MANIFEST, template: "x".repeat(MOST_MANIFEST_TEXT + 1) }, /at most|to 131072 characters/],
    [{ ...MANIFEST, template: 7 }, /must be a text/],
    [{ ...MANIFEST, system: "\ud800" }, /half a character/],
    [{ ...MANIFEST, parameters: { temperature: 9 } }, /temperature/],
    [{ ...MANIFEST, parameters: { num_gpu: 9 } }, /unknown field/],
    [{ ...MANIFEST, made_at: "yesterday" }, /made_at/],
    [{ ...MANIFEST, made_at: "2026-13-45T00:00:00.000Z" }, /made_at/],
    [{ ...MANIFEST, extra: 1 }, /unknown field: extra/],
    [{
      ...MANIFEST,
      template: "\u0800".repeat(120_000),
      system: "\u0800".repeat(120_000),
      license: "\u0800".repeat(120_000),
    }, /more than 1048576 bytes/],
    [files({ size: 0 }), /size/],
    [files({ size: MOST_BLOB_BYTES + 1 }), /size/],
    [files({ size: 1.5 }), /size/],
    [files({ size: "7" }), /size/],
    [files({ sha256: "0A".repeat(32) }), /64 hexadecimal/],
    [files({ root: "0a".repeat(31) }), /64 hexadecimal/],
    [files({ path: "x" }), /unknown field: path/],
  ];
  for (const [value, sentence] of changes) refused(value, sentence);
  for (
    const name of [
      "",
      ".",
      "..",
      "a/b",
      "a\\b",
      "/a",
      "a\0",
      "a:b",
      "con",
      "NUL.gguf",
      ".hidden",
      "a ",
      "é.gguf",
      "a..b",
      "x".repeat(200),
    ]
  ) {
    assert.ok(!isSafeName(name), name);
    refused(files({ name }), /name in the manifest/);
  }
  assert.throws(() => signManifest(identity, { ...MANIFEST, files: [] }), ArkError);
});

Deno.test("decodeModelManifest() returns any JSON as it came, or refuses it as a bad request", () => {
  const values = fc.oneof(anyJson(), almost(MANIFEST));
  fc.assert(
    fc.property(values, (value) => {
      try {
        assert.equal(canonicalJson(decodeModelManifest(value)), canonicalJson(value));
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "bad_request", String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});
