import { createHash } from "node:crypto";

/** Stands before the hashed bytes, so that the hash can be mistaken for no other. */
export const AUDIT_DOMAIN = "ark-audit/1\n";

const DOMAIN = new TextEncoder().encode(AUDIT_DOMAIN);

/** Room for the longest line and what stands before it: one call of the hash costs less than two. */
const scratch = new Uint8Array((16 << 10) + DOMAIN.length);

/** Hash of an entry from the bytes of its body, hex: `SHA-256("ark-audit/1\n" || body)`. */
export function bodyHash(body: Uint8Array): string {
  return createHash("sha256").update(behind(DOMAIN, body)).digest("hex");
}

/** Hash of a line as a leaf of the tree: `SHA-256(0x00 || line)`. */
export function lineHash(line: Uint8Array): Uint8Array {
  // By way of a text: to make a Buffer costs the runtime as much as half the hash.
  return Uint8Array.fromHex(createHash("sha256").update(behind(LEAF, line)).digest("hex"));
}

const LEAF = Uint8Array.of(0);

function behind(prefix: Uint8Array, bytes: Uint8Array): Uint8Array {
  const length = prefix.length + bytes.length;
  const room = length > scratch.length ? new Uint8Array(length) : scratch;
  room.set(prefix);
  room.set(bytes, prefix.length);
  return room.subarray(0, length);
}
