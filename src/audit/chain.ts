import type { AuditEntry, UnplacedEntry } from "./audit_record.ts";
import { bodyHash } from "./line_hash.ts";

const encoder = new TextEncoder();

/** A place in the chain: the last entry before the next. */
export interface Head {
  /** Its sequence number; 0 before the first entry. */
  seq: number;
  /** Its hash. */
  hash: string;
}

/** Before the first entry. */
export const GENESIS: Head = { seq: 0, hash: "0".repeat(64) };

/** Puts an entry behind `head` and writes its line with a line feed to `bytes` at `at`, where there must be room. */
export function place(
  unplaced: UnplacedEntry,
  head: Head,
  { bytes, at }: { bytes: Uint8Array; at: number },
): { entry: AuditEntry; end: number } {
  const seq = head.seq + 1;
  const prev = head.hash;
  // Hashed as the bytes that are written, so that the text becomes bytes once.
  const body = at + encoder.encodeInto(checkedBodyOf(unplaced, { seq, prev }), bytes.subarray(at)).written;
  const hash = bodyHash(bytes.subarray(at, body));
  const end = body - 1 + encoder.encodeInto(`,"hash":"${hash}"}\n`, bytes.subarray(body - 1)).written;
  return { entry: entryAt(unplaced, { seq, prev, hash }), end };
}

/** Whether the hash is the entry's own. */
export function isSound(entry: AuditEntry): boolean {
  return hashOfBody(bodyOf(entry)) === entry.hash;
}

/** Whether the hash is the entry's own and the text is its line: both checks for little more than the price of one. */
export function isSoundAs(entry: AuditEntry, line: string): boolean {
  const body = bodyOf(entry);
  return hashOfBody(body) === entry.hash && lineWith(body, entry.hash) === line;
}

/** The entry's line in `audit.log`, without its line feed: the hashed text with the hash put in at its end. */
export function lineOf(entry: AuditEntry): string {
  return lineWith(bodyOf(entry), entry.hash);
}

/**
 * Reads a line of `audit.log`.
 *
 * @throws {SyntaxError} Where it is not, byte for byte, what {@linkcode lineOf} writes, or its hash is not its own.
 */
export function entryOf(line: string): AuditEntry {
  const value: unknown = JSON.parse(line);
  if (typeof value !== "object" || value === null) throw new SyntaxError("The line holds no entry");
  const entry = entryFrom(value as Record<string, unknown>);
  const body = bodyOf(entry);
  if (lineWith(body, entry.hash) !== line) throw new SyntaxError("The line holds no entry");
  if (hashOfBody(body) !== entry.hash) throw new SyntaxError("The hash is not the entry's own");
  return entry;
}

/** Takes the fields of an entry from a row or a parsed line. Whether they are an entry's is told by the hash. */
export function entryFrom(fields: object): AuditEntry {
  const given = fields as Record<string, unknown>;
  const entry: Record<string, unknown> = {};
  for (const name of FIELDS) entry[name] = given[name] ?? null;
  return entry as unknown as AuditEntry;
}

/** Written out: spreading an object of that many fields costs several times as much. */
function entryAt(unplaced: UnplacedEntry, { seq, prev, hash }: Pick<AuditEntry, "seq" | "prev" | "hash">): AuditEntry {
  return {
    seq,
    at: unplaced.at,
    kind: unplaced.kind,
    direction: unplaced.direction,
    peer: unplaced.peer,
    model: unplaced.model,
    prompt_tokens: unplaced.prompt_tokens,
    completion_tokens: unplaced.completion_tokens,
    ms: unplaced.ms,
    outcome: unplaced.outcome,
    digest: unplaced.digest,
    request: unplaced.request,
    receipt: unplaced.receipt,
    count: unplaced.count,
    monotonic_ms: unplaced.monotonic_ms,
    prev,
    hash,
  };
}

/** Names of the fields, in the order of a line. */
export const FIELDS = [
  "seq",
  "at",
  "kind",
  "direction",
  "peer",
  "model",
  "prompt_tokens",
  "completion_tokens",
  "ms",
  "outcome",
  "digest",
  "request",
  "receipt",
  "count",
  "monotonic_ms",
  "prev",
  "hash",
] as const satisfies readonly (keyof AuditEntry)[];

/** The canonical JSON that is hashed: all fields but the hash, in this order, without spaces, null ones left out. */
function bodyOf(entry: Omit<AuditEntry, "hash">): string {
  const unset = undefined;
  return JSON.stringify({
    seq: entry.seq,
    at: entry.at,
    kind: entry.kind,
    direction: entry.direction ?? unset,
    peer: entry.peer ?? unset,
    model: entry.model ?? unset,
    prompt_tokens: entry.prompt_tokens ?? unset,
    completion_tokens: entry.completion_tokens ?? unset,
    ms: entry.ms ?? unset,
    outcome: entry.outcome ?? unset,
    digest: entry.digest ?? unset,
    request: entry.request ?? unset,
    receipt: entry.receipt ?? unset,
    count: entry.count ?? unset,
    monotonic_ms: entry.monotonic_ms,
    prev: entry.prev,
  });
}

/**
 * The same as {@linkcode bodyOf} for a third of its time. Only for an entry whose fields were checked: beside the model they
 * are then numbers, and texts that JSON writes as they are.
 */
function checkedBodyOf(entry: UnplacedEntry, { seq, prev }: { seq: number; prev: string }): string {
  let text = `{"seq":${seq},"at":"${entry.at}","kind":"${entry.kind}"`;
  if (entry.direction !== null) text += `,"direction":"${entry.direction}"`;
  if (entry.peer !== null) text += `,"peer":"${entry.peer}"`;
  if (entry.model !== null) text += `,"model":${JSON.stringify(entry.model)}`;
  if (entry.prompt_tokens !== null) text += `,"prompt_tokens":${entry.prompt_tokens}`;
  if (entry.completion_tokens !== null) text += `,"completion_tokens":${entry.completion_tokens}`;
  if (entry.ms !== null) text += `,"ms":${entry.ms}`;
  if (entry.outcome !== null) text += `,"outcome":"${entry.outcome}"`;
  if (entry.digest !== null) text += `,"digest":"${entry.digest}"`;
  if (entry.request !== null) text += `,"request":"${entry.request}"`;
  if (entry.receipt !== null) text += `,"receipt":"${entry.receipt}"`;
  if (entry.count !== null) text += `,"count":${entry.count}`;
  return `${text},"monotonic_ms":${entry.monotonic_ms},"prev":"${prev}"}`;
}

function lineWith(body: string, hash: string): string {
  return `${body.slice(0, -1)},"hash":"${hash}"}`;
}

function hashOfBody(body: string): string {
  return bodyHash(encoder.encode(body));
}
