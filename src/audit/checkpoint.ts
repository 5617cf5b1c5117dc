import { createHash } from "node:crypto";
import { type Identity, type NodeId, publicKeyIn, verify } from "@ark/node/identity";
import { HASH_BYTES } from "./merkle_tree.ts";

/** What a log commits to: that its first `size` entries are those under `root`. */
export interface Checkpoint {
  /** Whose log it is. */
  log: NodeId;
  /** Number of entries. */
  size: number;
  /** Root of their RFC 6962 tree. */
  root: Uint8Array;
}

/** A line `— name base64` of a signed note. */
export interface NoteSignature {
  /** Who signed, as the line says: the node's id. */
  signer: NodeId;
  /** The first four bytes of a hash over name, kind and key. */
  keyId: Uint8Array;
  /** What follows them: 64 bytes of a log, 72 of a witness. */
  signature: Uint8Array;
  /** The line as it stands, without its line feed. */
  line: string;
}

/** A parsed note. That its signatures hold is another question: {@linkcode isSignedByLog}, {@linkcode cosignaturesOf}. */
export interface SignedCheckpoint {
  /** What it says. */
  checkpoint: Checkpoint;
  /** The bytes that are signed, with the last line feed. */
  body: string;
  /** Its signature lines; at least one. */
  signatures: readonly NoteSignature[];
}

/** A witness has seen the log at that size, and it went on from what the witness had seen before. */
export interface Cosignature {
  /** Which node. */
  witness: NodeId;
  /** When, in seconds since 1970. */
  time: number;
  /** The signature line. */
  line: string;
}

/** Longest note that is read, in characters: some 100 signatures. */
export const NOTE_LIMIT = 16 << 10;

const NAME_PREFIX = "ark-node/";
const BODY_REGEXP = /^ark-node\/([a-z2-7]{56})\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n$/;
const LINE_REGEXP = /^\u2014 ark-node\/([a-z2-7]{56}) ([A-Za-z0-9+/]+={0,2})$/;

/** Signature types of the C2SP formats. */
const LOG_KEY = 1;
const WITNESS_KEY = 4;

/** Name of a node in a note: origin of its log, and name of its keys. */
export function noteName(id: NodeId): string {
  return NAME_PREFIX + id;
}

/** Signs a checkpoint of the node's own log: C2SP `tlog-checkpoint` as a signed note. */
export function signCheckpoint(identity: Identity, { size, root }: Omit<Checkpoint, "log">): string {
  const body = `${noteName(identity.id)}\n${size}\n${root.toBase64()}\n`;
  const signature = identity.sign(new TextEncoder().encode(body));
  return `${body}\n${signatureLine(identity, { kind: LOG_KEY, signature })}\n`;
}

/**
 * Reads a note. Strict: one spelling only, no extension lines, names of nodes only.
 *
 * @throws {SyntaxError} that says what it is not.
 */
export function parseCheckpoint(note: string): SignedCheckpoint {
  if (note.length > NOTE_LIMIT) throw new SyntaxError("The checkpoint is too long");
  const end = note.indexOf("\n\n");
  if (end < 0) throw new SyntaxError("The checkpoint has no signature");
  const body = note.slice(0, end + 1);
  const [, log, size, root] = BODY_REGEXP.exec(body) ?? [];
  if (log === undefined || size === undefined || root === undefined) {
    throw new SyntaxError("The checkpoint is not three lines: the log's name, its size and its root");
  }
  if (!Number.isSafeInteger(Number(size))) throw new SyntaxError("The checkpoint's size is too large");
  const signatures = parseSignatures(note.slice(end + 2));
  if (signatures.length === 0) throw new SyntaxError("The checkpoint has no signature");
  return { checkpoint: { log, size: Number(size), root: bytesOf(root) }, body, signatures };
}

/**
 * Reads signature lines, each with its line feed.
 *
 * @throws {SyntaxError}
 */
export function parseSignatures(text: string): NoteSignature[] {
  if (text === "") return [];
  if (text.length > NOTE_LIMIT || !text.endsWith("\n")) throw new SyntaxError("The signature lines are not whole");
  return text.slice(0, -1).split("\n").map((line) => {
    const [, signer, encoded] = LINE_REGEXP.exec(line) ?? [];
    if (signer === undefined || encoded === undefined) throw new SyntaxError("A line is no signature of a node");
    const bytes = bytesOf(encoded);
    if (bytes.length !== 4 + 64 && bytes.length !== 4 + 72) throw new SyntaxError("A signature has another length");
    return { signer, keyId: bytes.subarray(0, 4), signature: bytes.subarray(4), line };
  });
}

/** Whether the log's own key signed it. */
export function isSignedByLog({ checkpoint: { log }, body, signatures }: SignedCheckpoint): boolean {
  const key = publicKeyIn(log);
  if (key === null) return false;
  const message = new TextEncoder().encode(body);
  return signatures.some(({ signer, keyId, signature }) =>
    signer === log && signature.length === 64 && same(keyId, keyIdOf(log, { kind: LOG_KEY, key })) &&
    verify(key, message, signature)
  );
}

/** Cosigns a checkpoint, C2SP `cosignature/v1`: the line to add to the note, without its line feed. */
export function cosign(identity: Identity, { body }: SignedCheckpoint, time: number): string {
  const stamp = new Uint8Array(8);
  new DataView(stamp.buffer).setBigUint64(0, BigInt(time));
  const signature = identity.sign(cosignedMessage(body, time));
  return signatureLine(identity, { kind: WITNESS_KEY, signature: Uint8Array.of(...stamp, ...signature) });
}

/** The cosignatures over a checkpoint that hold, one of each witness; others are left out. */
export function cosignaturesOf(
  { body }: Pick<SignedCheckpoint, "body">,
  signatures: readonly NoteSignature[],
): Cosignature[] {
  const found = new Map<NodeId, Cosignature>();
  for (const { signer, keyId, signature, line } of signatures) {
    const key = signature.length === 72 ? publicKeyIn(signer) : null;
    if (key === null || !same(keyId, keyIdOf(signer, { kind: WITNESS_KEY, key }))) continue;
    const time = Number(new DataView(signature.buffer, signature.byteOffset, 8).getBigUint64(0));
    if (!Number.isSafeInteger(time) || !verify(key, cosignedMessage(body, time), signature.subarray(8))) continue;
    found.set(signer, { witness: signer, time, line });
  }
  return [...found.values()];
}

function cosignedMessage(body: string, time: number): Uint8Array {
  return new TextEncoder().encode(`cosignature/v1\ntime ${time}\n${body}`);
}

function signatureLine(identity: Identity, { kind, signature }: { kind: number; signature: Uint8Array }): string {
  const keyId = keyIdOf(identity.id, { kind, key: identity.publicKey });
  return `\u2014 ${noteName(identity.id)} ${Uint8Array.of(...keyId, ...signature).toBase64()}`;
}

function keyIdOf(id: NodeId, { kind, key }: { kind: number; key: Uint8Array }): Uint8Array {
  const hash = createHash("sha256").update(`${noteName(id)}\n`).update(Uint8Array.of(kind)).update(key).digest();
  return new Uint8Array(hash.subarray(0, 4));
}

/** Reads base64 of one spelling only. */
function bytesOf(text: string): Uint8Array {
  const bytes = Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  if (bytes.toBase64() !== text) throw new SyntaxError("Text is no base64");
  return bytes;
}

/**
 * Reads a hash in base64.
 *
 * @throws {SyntaxError}
 */
export function hashOfBase64(text: string): Uint8Array {
  if (text.length !== 44) throw new SyntaxError("Text is no hash in base64");
  const bytes = bytesOf(text);
  if (bytes.length !== HASH_BYTES) throw new SyntaxError("Text is no hash in base64");
  return bytes;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index]);
}
