import { hash } from "node:crypto";
import { decodeBase32, encodeBase32, isBase32 } from "./base32.ts";
import { isAcceptableKey } from "./public_key.ts";

/**
 * Name of a node: its public key in another spelling. 56 lower-case base32 characters, 52 of the key and 4 that check
 * them, without groups.
 */
export type NodeId = string;

const KEY_CHARACTERS = 52;
const LENGTH = 56;
const CHECK_DOMAIN = "ark-node-id/1";
/** What the check characters are the hash of: the domain, and the key of the moment after it. */
const CHECKED = new TextEncoder().encode(CHECK_DOMAIN + "\0".repeat(32));
const PLAIN = /^[a-z2-7]*$/;

/**
 * The id of a public key.
 *
 * @throws {TypeError} when the bytes are no acceptable key.
 */
export function nodeIdOf(key: Uint8Array): NodeId {
  if (!isAcceptableKey(key)) throw new TypeError("Cannot make a node id: the bytes are no acceptable Ed25519 key");
  return encodeBase32(key) + checkOf(key);
}

/**
 * The public key of an id, 32 bytes.
 *
 * @throws {SyntaxError} when the text is no id in its plain form; see {@linkcode parseNodeId} for what people type.
 */
export function publicKeyOf(id: NodeId): Uint8Array<ArrayBuffer> {
  if (id.length !== LENGTH) {
    throw new SyntaxError(`Cannot read a node id: it must have ${LENGTH} characters, and there are ${id.length}`);
  }
  if (!PLAIN.test(id)) {
    const character = [...id].find((one) => !isBase32(one));
    throw new SyntaxError(
      `Cannot read a node id: ${JSON.stringify(character)} does not occur in ids, which use the letters a to z ` +
        "and the digits 2 to 7",
    );
  }
  const key = decodeBase32(id.slice(0, KEY_CHARACTERS));
  if (key === null || checkOf(key) !== id.slice(KEY_CHARACTERS)) {
    throw new SyntaxError("Cannot read a node id: its check characters do not match, so at least one is mistyped");
  }
  if (!isAcceptableKey(key)) {
    throw new SyntaxError("Cannot accept this node id: it stands for one of the weak or malformed Ed25519 keys");
  }
  return key;
}

/** The same; null where the text is no id in its plain form. */
export function publicKeyIn(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return publicKeyOf(text);
  } catch {
    return null;
  }
}

/**
 * Reads an id as people write it: in groups or not, with dashes or spaces anywhere, in either case.
 *
 * @throws {SyntaxError} with a sentence that says what is wrong: the length, a character or the check.
 */
export function parseNodeId(text: string): NodeId {
  const id = text.replaceAll(/[\s-]/g, "").toLowerCase();
  publicKeyOf(id);
  return id;
}

/** Writes an id for people: seven groups of eight characters, joined by dashes. */
export function formatNodeId(id: NodeId): string {
  return id.match(/.{1,8}/g)?.join("-") ?? "";
}

/** The first eight characters of an id: enough to tell a person which node is meant, never enough to trust. */
export function shortId(id: NodeId): string {
  return id.slice(0, 8);
}

function checkOf(key: Uint8Array): string {
  CHECKED.set(key, CHECK_DOMAIN.length);
  // As hex, since Deno makes a string of a hash for less than half of what it takes for bytes.
  return encodeBase32(Uint8Array.fromHex(hash("sha256", CHECKED, "hex").slice(0, 6))).slice(0, LENGTH - KEY_CHARACTERS);
}
