import type { NodeId } from "@ark/node/identity";
import { type ErrorCode, isErrorCode, LIMITS } from "@ark/node/protocol";
import { escaped } from "@ark/node/telemetry";

/**
 * What is recorded.
 *
 * | kind | when |
 * |---|---|
 * | `start` | before a peer's request is given to an engine, with a request to a peer, and before a download of a model begins (`count` is 0 then) |
 * | `end` | after it, with its outcome; `count` says how many chunks a download had |
 * | `deny` | a caller was refused |
 * | `approve` | the owner approved a peer |
 * | `revoke` | the owner revoked a peer |
 * | `pair` | a pairing by words or an invitation ended, with its outcome |
 * | `rotate` | this node, or a peer, has a new key |
 * | `config` | the owner changed who may use this node from his own side: an API key made or taken back |
 * | `prune` | the owner had old entries removed; `count` says how many. The tree still proves what they were |
 * | `alarm` | a log contradicts what a witness saw: a peer's log (`in`), or this one (`out`) |
 */
export const AUDIT_KINDS = [
  "start",
  "end",
  "deny",
  "approve",
  "revoke",
  "pair",
  "rotate",
  "config",
  "prune",
  "alarm",
] as const;

/** One of {@linkcode AUDIT_KINDS}. */
export type AuditKind = typeof AUDIT_KINDS[number];

/** `in`: a peer asked us; `out`: we asked a peer. */
export type AuditDirection = "in" | "out";

/**
 * What a caller wants recorded. There is no field for free text: an id, a model's name, hashes, numbers and codes of
 * closed sets, nothing else.
 */
export interface AuditRecord {
  /** What was done. */
  kind: AuditKind;
  /** Who asked whom, or null for the owner's own act. */
  direction: AuditDirection | null;
  /** The peer, or null where there is none. */
  peer: NodeId | null;
  /** Model as the request names it; control characters are escaped, and it is cut at 200 characters. */
  model?: string | null | undefined;
  /** SHA-256 of the model's file, 64 hexadecimal digits. */
  digest?: string | null | undefined;
  /** Tokens of the prompt. */
  prompt_tokens?: number | null | undefined;
  /** Tokens of the answer. */
  completion_tokens?: number | null | undefined;
  /** Duration in milliseconds, kept to the microsecond. */
  ms?: number | null | undefined;
  /** How it ended. */
  outcome?: "ok" | ErrorCode | null | undefined;
  /** SHA-256 of the request's signature, 64 hexadecimal digits. */
  request?: string | null | undefined;
  /** SHA-256 of the receipt, 64 hexadecimal digits. */
  receipt?: string | null | undefined;
  /** How many acts of the same kind this entry stands for, where it is not one. */
  count?: number | null | undefined;
}

/** A record in its place in the chain; what was not said is null. */
export interface AuditEntry {
  /** 1, 2, 3, … without gaps. */
  seq: number;
  /** Wall time of the call, RFC 3339 in UTC; for people, and free to jump. */
  at: string;
  /** What was done. */
  kind: AuditKind;
  /** Who asked whom. */
  direction: AuditDirection | null;
  /** The peer. */
  peer: NodeId | null;
  /** Model as the request names it. */
  model: string | null;
  /** Tokens of the prompt. */
  prompt_tokens: number | null;
  /** Tokens of the answer. */
  completion_tokens: number | null;
  /** Duration in milliseconds. */
  ms: number | null;
  /** How it ended. */
  outcome: "ok" | ErrorCode | null;
  /** SHA-256 of the model's file, hex. */
  digest: string | null;
  /** SHA-256 of the request's signature, hex. */
  request: string | null;
  /** SHA-256 of the receipt, hex. */
  receipt: string | null;
  /** How many acts of the same kind this entry stands for, where it is not one. */
  count: number | null;
  /** Monotonic time since the process began, in milliseconds: orders and spaces the entries of one run of the node. */
  monotonic_ms: number;
  /** `hash` of the entry before; 64 zeros for the first. */
  prev: string;
  /** SHA-256 over all the fields above, hex. */
  hash: string;
}

/** An entry before it has its place. */
export type UnplacedEntry = Omit<AuditEntry, "seq" | "prev" | "hash">;

const NODE_ID_REGEXP = /^[a-z2-7]{56}$/;
const SHA256_REGEXP = /^[0-9a-f]{64}$/;

/**
 * Checks a record and gives it its times.
 *
 * @throws {TypeError} Where a field is not of its kind. The message names the field and never repeats its value.
 */
export function unplaced(record: AuditRecord): UnplacedEntry {
  const { kind, direction, peer, outcome = null } = record;
  if (!AUDIT_KINDS.includes(kind)) throw fault("kind", `one of ${AUDIT_KINDS.join(", ")}`);
  if (direction !== null && direction !== "in" && direction !== "out") throw fault("direction", "in, out or null");
  if (peer !== null && !matches(peer, NODE_ID_REGEXP)) throw fault("peer", "a node id or null");
  if (outcome !== null && outcome !== "ok" && !isErrorCode(outcome)) throw fault("outcome", "ok or an error code");
  return {
    at: timeNow(),
    kind,
    direction,
    peer,
    model: model(record.model ?? null),
    prompt_tokens: whole("prompt_tokens", record.prompt_tokens ?? null),
    completion_tokens: whole("completion_tokens", record.completion_tokens ?? null),
    ms: duration(record.ms ?? null),
    outcome,
    digest: sha256("digest", record.digest ?? null),
    request: sha256("request", record.request ?? null),
    receipt: sha256("receipt", record.receipt ?? null),
    count: whole("count", record.count ?? null),
    monotonic_ms: milliseconds(performance.now()),
  };
}

/** The same millisecond has the same text, which is half of what checking a record costs. */
let [textOf, text] = [NaN, ""];

function timeNow(): string {
  const now = Date.now();
  if (now !== textOf) [textOf, text] = [now, new Date(now).toISOString()];
  return text;
}

function model(value: string | null): string | null {
  if (value !== null && typeof value !== "string") throw fault("model", "a text");
  return value === null ? null : escaped(value, LIMITS.modelRefLength);
}

function whole(name: string, value: number | null): number | null {
  if (value !== null && (!Number.isSafeInteger(value) || value < 0)) throw fault(name, "a whole number of at least 0");
  return value;
}

function duration(value: number | null): number | null {
  if (value === null) return null;
  if (!Number.isFinite(value) || value < 0) throw fault("ms", "a number of at least 0");
  return milliseconds(value);
}

function milliseconds(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function sha256(name: string, value: string | null): string | null {
  if (value !== null && !matches(value, SHA256_REGEXP)) throw fault(name, "a SHA-256 of 64 hexadecimal digits");
  return value;
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === "string" && pattern.test(value);
}

function fault(field: string, expected: string): TypeError {
  return new TypeError(`Cannot record: the field ${field} must be ${expected}`);
}
