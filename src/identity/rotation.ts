import { createHash } from "node:crypto";
import type { Identity } from "./identity.ts";
import { type NodeId, publicKeyIn, publicKeyOf } from "./node_id.ts";
import { verify } from "./verify.ts";

/** Domain of both signatures over a {@linkcode Rotation}. */
export const ROTATION_DOMAIN = "ark-rotate/1\n";

/** Most rotations in one chain: a peer that missed more of them has to approve the node anew. */
export const MOST_ROTATIONS = 16;

/** A node says that it goes on under another key. */
export interface Rotation {
  /** Id of the key that it had. */
  old: NodeId;
  /** Id of the key that it has from now on. */
  new: NodeId;
  /** 1 for a node's first rotation, then more each time: what is not more is a repetition. */
  seq: number;
  /** When, by the node's own clock: RFC 3339 in UTC with milliseconds. For people. */
  created: string;
}

/** A {@linkcode Rotation} with the signatures of both keys. */
export interface SignedRotation extends Rotation {
  /** Signature of the old key: 64 bytes as base64. */
  old_signature: string;
  /** Signature of the new key: 64 bytes as base64. Without it, a node could claim another one's key. */
  new_signature: string;
}

const MOST_SEQ = 2 ** 31 - 1;
const FIELDS = ["old", "new", "seq", "created", "old_signature", "new_signature"];
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/;

/** The bytes that both keys sign: domain, then the fields in the order of the type, as JSON without spaces. */
export function rotationBytes({ old, new: next, seq, created }: Rotation): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(ROTATION_DOMAIN + JSON.stringify({ old, new: next, seq, created }));
}

/** Signs a rotation with both keys. */
export function signRotation(
  keys: { old: Identity; new: Identity },
  { seq, created }: { seq: number; created: string },
): SignedRotation {
  const rotation = { old: keys.old.id, new: keys.new.id, seq, created };
  const bytes = rotationBytes(rotation);
  return {
    ...rotation,
    old_signature: keys.old.sign(bytes).toBase64(),
    new_signature: keys.new.sign(bytes).toBase64(),
  };
}

/** What stands for a rotation in logs: SHA-256 of the old key's signature, hex. */
export function rotationHash({ old_signature }: SignedRotation): string {
  return createHash("sha256").update(Uint8Array.fromBase64(old_signature)).digest("hex");
}

/**
 * Reads a chain of rotations, oldest first, from any JSON value, by the letter: `{"rotations":[…]}`, 1 to 16 of them, each
 * beginning with the key at which the one before ended, under rising numbers, no key twice, and every signature true.
 *
 * @throws {SyntaxError} with a sentence that says what is wrong. Nothing of the value is in it.
 */
export function decodeRotations(value: unknown): SignedRotation[] {
  const list = fieldsOf(value, ["rotations"])?.rotations;
  if (!Array.isArray(list) || list.length === 0 || list.length > MOST_ROTATIONS) {
    throw new SyntaxError(`Cannot read a change of keys: it is a list of 1 to ${MOST_ROTATIONS} rotations`);
  }
  const chain = list.map(decodeRotation);
  const keys = new Set([chain[0]?.old]);
  for (const [index, { old, new: next, seq }] of chain.entries()) {
    const before = chain[index - 1];
    if (before !== undefined && (before.new !== old || before.seq >= seq)) {
      throw new SyntaxError("Cannot read a change of keys: one rotation does not follow the one before it");
    }
    if (keys.has(next)) throw new SyntaxError("Cannot read a change of keys: a key comes twice");
    keys.add(next);
  }
  // Last, since it costs most.
  if (!chain.every(isSigned)) {
    throw new SyntaxError("Cannot accept a change of keys: it is not signed by both the old and the new key");
  }
  return chain;
}

function decodeRotation(value: unknown): SignedRotation {
  const fields = fieldsOf(value, FIELDS);
  if (fields === null) throw malformed("its fields");
  const { old, new: next, seq, created, old_signature, new_signature } = fields;
  if (!isId(old) || !isId(next)) throw malformed("an id");
  if (!Number.isInteger(seq) || Number(seq) < 1 || Number(seq) > MOST_SEQ) throw malformed("its number");
  if (typeof created !== "string" || !INSTANT.test(created) || Number.isNaN(Date.parse(created))) {
    throw malformed("its time");
  }
  if (!isSignature(old_signature) || !isSignature(new_signature)) throw malformed("a signature");
  return { old, new: next, seq: Number(seq), created, old_signature, new_signature };
}

function isSigned(rotation: SignedRotation): boolean {
  const bytes = rotationBytes(rotation);
  const { old, new: next, old_signature, new_signature } = rotation;
  return verify(publicKeyOf(old), bytes, Uint8Array.fromBase64(old_signature)) &&
    verify(publicKeyOf(next), bytes, Uint8Array.fromBase64(new_signature));
}

function isId(value: unknown): value is NodeId {
  return typeof value === "string" && publicKeyIn(value) !== null;
}

function isSignature(value: unknown): value is string {
  if (typeof value !== "string" || !SIGNATURE.test(value)) return false;
  try {
    return Uint8Array.fromBase64(value, { lastChunkHandling: "strict" }).length === 64;
  } catch {
    return false;
  }
}

/** The fields of an object that has exactly these, or null. */
function fieldsOf(value: unknown, names: readonly string[]): Record<string, unknown> | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const own = Object.keys(value);
  if (own.length !== names.length || !names.every((name) => Object.hasOwn(value, name))) return null;
  return value as Record<string, unknown>;
}

function malformed(what: string): SyntaxError {
  return new SyntaxError(`Cannot read a rotation: ${what} is not in the form that it must have`);
}
