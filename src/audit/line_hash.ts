import { sha256Hex, sha256Into } from "./sha256.ts";

/** Stands before the hashed bytes, so that the hash can be mistaken for no other. */
export const AUDIT_DOMAIN = "ark-audit/1\n";

const DOMAIN = new TextEncoder().encode(AUDIT_DOMAIN);
const LEAF = Uint8Array.of(0);

/** Hash of an entry from the bytes of its body, hex: `SHA-256("ark-audit/1\n" || body)`. */
export function bodyHash(body: Uint8Array): string {
  return sha256Hex({ prefix: DOMAIN, bytes: body });
}

/** Hash of a line as a leaf of the tree: `SHA-256(0x00 || line)`. */
export function lineHash(line: Uint8Array): Uint8Array<ArrayBuffer> {
  const hash = new Uint8Array(32);
  sha256Into(hash, 0, { prefix: LEAF, bytes: line });
  return hash;
}
