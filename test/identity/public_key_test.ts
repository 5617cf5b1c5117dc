import assert from "node:assert/strict";
import { ed25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { formatPublicKey, generateIdentity, isAcceptableKey, parsePublicKey } from "@ark/node/identity";
import { WEAK_KEYS } from "./weak_keys.ts";

Deno.test("T09: isAcceptableKey() refuses all 14 spellings of the points of small order", () => {
  for (const hex of WEAK_KEYS) assert.ok(!isAcceptableKey(Uint8Array.fromHex(hex)), hex);
});

Deno.test("isAcceptableKey() refuses every y from p to 2^255 - 1, with both signs", () => {
  for (let first = 0; first < 256; first++) {
    for (const top of [0x7f, 0xff]) {
      const key = new Uint8Array(32).fill(0xff);
      key[0] = first;
      key[31] = top;
      // 0xec is y = -1, of order two; 0xed is p itself.
      assert.equal(isAcceptableKey(key), first < 0xec, `${first} ${top}`);
    }
  }
});

Deno.test("isAcceptableKey() refuses other lengths and accepts honest keys", () => {
  for (const length of [0, 31, 33, 64]) assert.ok(!isAcceptableKey(new Uint8Array(length).fill(7)));
  for (let i = 0; i < 50; i++) assert.ok(isAcceptableKey(generateIdentity().publicKey));
});

Deno.test("isAcceptableKey() agrees with the multiples of the torsion generator that noble computes", () => {
  const torsion = ed25519.Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
  let point = ed25519.Point.ZERO;
  for (let i = 0; i < 8; i++) {
    assert.ok(!isAcceptableKey(point.toBytes()), String(i));
    point = point.add(torsion);
  }
});

Deno.test("parsePublicKey() reads what formatPublicKey() writes", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }).filter(isAcceptableKey), (key) => {
    const text = formatPublicKey(key);
    assert.match(text, /^ed25519:[A-Za-z0-9+/]{43}=$/);
    assert.deepEqual(parsePublicKey(` ${text}\n`), new Uint8Array(key));
  }));
  assert.throws(() => formatPublicKey(new Uint8Array(32)), TypeError);
});

const honest = generateIdentity().publicKey.toBase64();

Deno.test.each([
  { case: "a WireGuard key", text: `wg:${honest}`, says: /WireGuard.*ark-node id/ },
  { case: "an untyped key", text: honest, says: /without its type/ },
  { case: "another type", text: `rsa:${honest}`, says: /without its type/ },
  { case: "a short key", text: "ed25519:AAAA", says: /44 characters.*there are 4/ },
  { case: "no base64", text: `ed25519:${"*".repeat(44)}`, says: /not all of them base64/ },
  { case: "white space inside", text: `ed25519:${honest.slice(0, 10)} ${honest.slice(11)}`, says: /base64/ },
  { case: "unused bits that are not zero", text: `ed25519:${"A".repeat(42)}B=`, says: /base64/ },
  { case: "a weak key", text: `ed25519:${new Uint8Array(32).toBase64()}`, says: /weak/ },
  { case: "nothing", text: "", says: /without its type/ },
])("parsePublicKey() refuses $case and says so", ({ text, says }) => {
  assert.throws(() => parsePublicKey(text), { name: "SyntaxError", message: says });
});
