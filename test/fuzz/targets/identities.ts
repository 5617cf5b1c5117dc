import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  formatNodeId,
  formatPublicKey,
  isAcceptableKey,
  type NodeId,
  nodeIdOf,
  parseNodeId,
  parsePublicKey,
  publicKeyOf,
} from "@ark/node/identity";
import { identityOfSeed } from "../../transport/mesh_fixture.ts";
import { mutateText } from "../mutate.ts";
import { type FuzzTarget, refusedBy, shrinkText } from "../target.ts";

const IDENTITIES = [1, 2, 3].map(identityOfSeed);
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** The check characters of a key, worked out in another way. */
function checkOf(key: Uint8Array): string {
  const hash = createHash("sha256").update("ark-node-id/1").update(key).digest("hex");
  const bits = BigInt(`0x${hash}`) >> 236n;
  return [15n, 10n, 5n, 0n].map((shift) => ALPHABET[Number(bits >> shift & 31n)]).join("");
}

/** The id of a node as people type it. */
export const nodeId: FuzzTarget<string> = {
  name: "node_id",
  promise: "An id is refused with a SyntaxError, or is the one spelling of an acceptable key with the right check.",
  corpus: IDENTITIES.flatMap((
    { id },
  ) => [id, formatNodeId(id), formatNodeId(id).toUpperCase(), id.replace(/.{4}/g, "$& ")]),
  covers: ["/src/identity/"],
  mutate: (random, text, other) =>
    random.once(6) ? text.slice(0, 52) + other.slice(52) : mutateText(random, text, other),
  check(text) {
    let id: NodeId;
    try {
      id = parseNodeId(text);
    } catch (error) {
      return refusedBy(error, SyntaxError);
    }
    assert.match(id, /^[a-z2-7]{56}$/);
    assert.equal(text.replaceAll(/[\s-]/g, "").toLowerCase(), id);
    const key = publicKeyOf(id);
    assert.ok(isAcceptableKey(key));
    assert.equal(nodeIdOf(key), id);
    assert.equal(id.slice(52), checkOf(key));
    return true;
  },
  show: (text) => JSON.stringify(text),
  shrink: shrinkText,
};

/** A public key as people paste it. */
export const publicKey: FuzzTarget<string> = {
  name: "public_key",
  promise: "A key is refused with a SyntaxError, or is spelt in the one canonical way.",
  corpus: IDENTITIES.flatMap((identity) => {
    const text = formatPublicKey(identity.publicKey);
    return [text, ` ${text}\n`];
  }),
  covers: ["/src/identity/"],
  mutate: (random, text, other) =>
    random.once(8)
      ? `ed25519:${Uint8Array.from({ length: 32 }, () => random.pick([0, 1, 0xec, 0xed, 0xee, 0xff, 0x7f])).toBase64()}`
      : mutateText(random, text, other),
  check(text) {
    let key: Uint8Array;
    try {
      key = parsePublicKey(text);
    } catch (error) {
      return refusedBy(error, SyntaxError);
    }
    assert.equal(formatPublicKey(key), text.trim());
    // y below 2^255 - 19, and none of the smallest points.
    const y = BigInt(`0x${key.toReversed().toHex()}`) & ((1n << 255n) - 1n);
    assert.ok(y > 1n && y < (1n << 255n) - 20n);
    assert.deepEqual(publicKeyOf(nodeIdOf(key)), key);
    return true;
  },
  show: (text) => JSON.stringify(text),
  shrink: shrinkText,
};
