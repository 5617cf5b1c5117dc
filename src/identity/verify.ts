import { Buffer } from "node:buffer";
import { createPublicKey, type KeyObject, verify as verifyEd25519 } from "node:crypto";
import { isAcceptableKey, isAcceptablePoint } from "./public_key.ts";

/** SubjectPublicKeyInfo of an Ed25519 key up to the 32 bytes of the key (RFC 8410). */
const SPKI = Uint8Array.fromHex("302a300506032b6570032100");
const MOST_KEYS = 1_024;

/** Making a key object costs more than a verification, and the same few peers ask all day. */
const keys = new Map<string, KeyObject>();

/**
 * Whether a signature over a message was made by a key. Strict Ed25519 (RFC 8032): the scalar is reduced, and neither the
 * key nor the signature's R is of small order or spelt in a non-canonical way. Never throws; anything malformed is false.
 * That it is false takes as long for a key that has signed here before as for one that nobody has heard of.
 */
export function verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64 || !isAcceptablePoint(signature.subarray(0, 32))) return false;
  const name = key.toHex();
  const known = keys.get(name);
  const object = known ?? keyObjectOf(key);
  if (object === null) return false;
  const valid = isSignedBy(object, message, signature);
  if (valid) remember(name, object);
  else if (known !== undefined) keyObjectOf(key);
  return valid;
}

function isSignedBy(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verifyEd25519(null, message, key, signature);
  } catch {
    return false;
  }
}

/** Only a key that has signed is remembered, so that nobody can push out others by naming keys. */
function remember(name: string, object: KeyObject): void {
  keys.delete(name);
  keys.set(name, object);
  const oldest = keys.keys().next().value;
  if (keys.size > MOST_KEYS && oldest !== undefined) keys.delete(oldest);
}

function keyObjectOf(key: Uint8Array): KeyObject | null {
  if (!isAcceptableKey(key)) return null;
  try {
    return createPublicKey({ key: Buffer.concat([SPKI, key]), format: "der", type: "spki" });
  } catch {
    return null;
  }
}
