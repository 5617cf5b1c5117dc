import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatNodeId,
  generateIdentity,
  isAcceptableKey,
  type NodeId,
  nodeIdOf,
  parseNodeId,
  publicKeyOf,
  shortId,
} from "@ark/node/identity";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const keys = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter(isAcceptableKey);
const VECTOR_KEY = Uint8Array.fromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");

Deno.test("nodeIdOf() and publicKeyOf() are inverse for every acceptable key", () => {
  fc.assert(fc.property(keys, (key) => {
    const id = nodeIdOf(key);
    assert.match(id, /^[a-z2-7]{56}$/);
    assert.deepEqual(publicKeyOf(id), new Uint8Array(key));
  }));
});

Deno.test("nodeIdOf() is frozen: the key of RFC 8032 test 1 keeps its id", async () => {
  const digest = new Uint8Array(
    await crypto.subtle.digest(
      "SHA-256",
      new Uint8Array([...new TextEncoder().encode("ark-node-id/1"), ...VECTOR_KEY]),
    ),
  );
  const bits = [...VECTOR_KEY].map((byte) => byte.toString(2).padStart(8, "0")).join("").padEnd(260, "0") +
    [...digest].map((byte) => byte.toString(2).padStart(8, "0")).join("").slice(0, 20);
  const expected = (bits.match(/.{5}/g) ?? []).map((five) => ALPHABET[parseInt(five, 2)]).join("");
  assert.equal(nodeIdOf(VECTOR_KEY), expected);
  assert.equal(nodeIdOf(VECTOR_KEY), "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenamhdm");
});

Deno.test("nodeIdOf() refuses bytes that are no acceptable key", () => {
  for (const key of [new Uint8Array(31), new Uint8Array(33), new Uint8Array(32), new Uint8Array(32).fill(255)]) {
    assert.throws(() => nodeIdOf(key), TypeError);
  }
});

Deno.test("parseNodeId() accepts groups, dashes, spaces and upper case", () => {
  fc.assert(fc.property(keys, fc.constantFrom("-", " ", " - ", "", "\n"), fc.boolean(), (key, joint, upper) => {
    const id = nodeIdOf(key);
    const text = formatNodeId(id).replaceAll("-", joint);
    assert.equal(parseNodeId(` ${upper ? text.toUpperCase() : text} `), id);
  }));
});

Deno.test("parseNodeId() detects every single wrong, missing, doubled or swapped character", () => {
  const at = fc.nat({ max: 55 });
  const edits = fc.oneof(
    fc.tuple(at, fc.constantFrom(...ALPHABET, "0", "1", "8", "9", "ä", "_")).map(([i, character]) => (id: NodeId) =>
      id.slice(0, i) + character + id.slice(i + 1)
    ),
    at.map((i) => (id: NodeId) => id.slice(0, i) + id.slice(i + 1)),
    at.map((i) => (id: NodeId) => id.slice(0, i) + id[i] + id.slice(i)),
    fc.nat({ max: 54 }).map((i) => (id: NodeId) => id.slice(0, i) + id[i + 1] + id[i] + id.slice(i + 2)),
  );
  fc.assert(
    fc.property(keys, edits, (key, edit) => {
      const id = nodeIdOf(key);
      const typed = edit(id);
      fc.pre(typed !== id);
      assert.throws(() => parseNodeId(typed), SyntaxError);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test.each([
  { text: "abc", says: /56 characters, and there are 3/ },
  { text: "0".repeat(56), says: /"0" does not occur/ },
  { text: "a".repeat(56), says: /check characters/ },
  { text: "", says: /there are 0/ },
])("parseNodeId($text) says what is wrong", ({ text, says }) => {
  assert.throws(() => parseNodeId(text), { name: "SyntaxError", message: says });
});

Deno.test("publicKeyOf() refuses the id of a weak key even with right check characters", async () => {
  // The identity point: 01 00 … 00.
  const key = new Uint8Array(32);
  key[0] = 1;
  const domain = new TextEncoder().encode("ark-node-id/1");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array([...domain, ...key])));
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, "0")).join("").slice(0, 20);
  const check = (bits.match(/.{5}/g) ?? []).map((five) => ALPHABET[parseInt(five, 2)]).join("");
  assert.throws(() => publicKeyOf("ae" + "a".repeat(50) + check), { name: "SyntaxError", message: /weak/ });
});

Deno.test("publicKeyOf() takes only the plain form", () => {
  const { id } = generateIdentity();
  assert.throws(() => publicKeyOf(formatNodeId(id)), SyntaxError);
  assert.throws(() => publicKeyOf(id.toUpperCase()), SyntaxError);
});

Deno.test("formatNodeId() shows seven groups of eight and shortId() the first", () => {
  const { id } = generateIdentity();
  assert.match(formatNodeId(id), /^([a-z2-7]{8}-){6}[a-z2-7]{8}$/);
  assert.equal(shortId(id), formatNodeId(id).split("-")[0]);
});
