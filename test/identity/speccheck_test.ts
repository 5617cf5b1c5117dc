/** The twelve vectors of "Taming the many EdDSAs" (novifinancial/ed25519-speccheck), and the doors at which keys come in. */
import assert from "node:assert/strict";
import { ed25519 } from "@noble/curves/ed25519.js";
import {
  decodeRotations,
  generateIdentity,
  parseNodeId,
  parsePublicKey,
  signRotation,
  verify,
} from "@ark/node/identity";
import { encodeBase32 } from "../../src/identity/base32.ts";
import { createHash } from "node:crypto";
import { WEAK_KEYS } from "./weak_keys.ts";

const bytes = (hex: string) => Uint8Array.fromHex(hex);

const A = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
const F = "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43";
const C = "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d";
const D = "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623";
const E = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

const VECTORS: readonly { what: string; message: string; key: string; signature: string }[] = [
  {
    what: "S = 0, key and R of small order",
    message: "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
    key: A,
    signature: A + "00".repeat(32),
  },
  {
    what: "key of small order, R of mixed order",
    message: "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
    key: A,
    signature: F + "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  },
  {
    what: "key of mixed order, R of small order",
    message: "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
    key: F,
    signature:
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
  },
  {
    what: "key and R of mixed order, right without the cofactor",
    message: "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
    key: C,
    signature:
      "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
  },
  {
    what: "right only times the cofactor",
    message: "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    key: C,
    signature:
      "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
  },
  {
    what: "right only times the cofactor, with the hash not reduced by 8",
    message: "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    key: C,
    signature:
      "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
  },
  {
    what: "S + L",
    message: "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
    key: D,
    signature:
      "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
  },
  {
    what: "S far above L",
    message: "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
    key: D,
    signature:
      "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
  },
  {
    what: "R not canonical, hashed in its canonical form",
    message: "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
    key: F,
    signature: E + "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
  },
  {
    what: "R not canonical, hashed as it is",
    message: "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
    key: F,
    signature: E + "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
  },
  {
    what: "a key that is not canonical, hashed in its canonical form",
    message: "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
    key: E,
    signature:
      "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  },
  {
    what: "a key that is not canonical, hashed as it is",
    message: "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
    key: E,
    signature:
      "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  },
];

/** The signature with its scalar reduced. */
function reduced(signature: string): Uint8Array {
  const sig = bytes(signature);
  let scalar = 0n;
  for (let at = 63; at >= 32; at--) scalar = (scalar << 8n) | BigInt(sig[at] ?? 0);
  scalar %= 2n ** 252n + 27742317777372353535851937790883648493n;
  for (let at = 32; at < 64; at++, scalar >>= 8n) sig[at] = Number(scalar & 255n);
  return sig;
}

Deno.test("The vectors of speccheck are what they say, as another implementation sees them", () => {
  const lenient = (signature: Uint8Array, { message, key }: typeof VECTORS[number]) =>
    ed25519.verify(signature, bytes(message), bytes(key), { zip215: true });
  const accepted = VECTORS.map((vector, index) => lenient(bytes(vector.signature), vector) ? index : -1);
  // The column of ZIP 215 in the paper's table.
  assert.deepEqual(accepted.filter((index) => index >= 0), [0, 1, 2, 3, 4, 5, 9, 10, 11]);
  for (const index of [6, 7]) {
    const vector = VECTORS[index] ?? assert.fail();
    assert.ok(lenient(reduced(vector.signature), vector), vector.what);
  }
  const eight = VECTORS[8] ?? assert.fail();
  assert.ok(lenient(bytes(E.slice(0, 62) + "7f" + eight.signature.slice(64)), eight));
});

Deno.test("T09: verify() accepts of the vectors of speccheck only the one that is right in every respect", () => {
  const accepted = VECTORS.filter(({ message, key, signature }) =>
    verify(bytes(key), bytes(message), bytes(signature))
  );
  // Its owner made a key of mixed order on purpose, and gains nothing: no other message verifies.
  assert.deepEqual(accepted.map(({ what }) => what), ["key and R of mixed order, right without the cofactor"]);
});

Deno.test("T09: No weak or malformed key comes in as a typed key, as an id, in a rotation, or signs anything", () => {
  assert.equal(WEAK_KEYS.length, 14);
  const friend = generateIdentity();
  const rotation = signRotation({ old: friend, new: generateIdentity() }, {
    seq: 1,
    created: "2026-11-21T08:00:00.000Z",
  });
  for (const hex of WEAK_KEYS) {
    const key = bytes(hex);
    assert.throws(() => parsePublicKey(`ed25519:${key.toBase64()}`), { name: "SyntaxError", message: /weak/ }, hex);
    // With the right check characters: it is the key that is refused.
    const check = createHash("sha256").update("ark-node-id/1").update(key).digest().subarray(0, 5);
    const id = encodeBase32(key) + encodeBase32(check).slice(0, 4);
    assert.throws(() => parseNodeId(id), { name: "SyntaxError", message: /weak/ }, hex);
    for (const field of ["old", "new"]) {
      assert.throws(() => decodeRotations({ rotations: [{ ...rotation, [field]: id }] }), SyntaxError, hex);
    }
    for (let i = 0; i < 16; i++) {
      const message = new TextEncoder().encode(`message ${i}`);
      for (const r of [hex, "01" + "00".repeat(31)]) {
        assert.ok(!verify(key, message, bytes(r + "00".repeat(32))), hex);
        assert.ok(!verify(friend.publicKey, message, bytes(r + "00".repeat(32))), hex);
      }
    }
  }
});
