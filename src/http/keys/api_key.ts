import { createHash } from "node:crypto";
import { ArkError, label, LIMITS } from "@ark/node/protocol";

/** What a key lets its bearer do. */
export interface ApiKeyTerms {
  /** Models that it may use, as `name:tag`; `*` stands for any text. */
  models: string[];
  /** Questions a minute; null for no such limit. */
  max_requests_per_minute: number | null;
  /** Tokens in 24 hours, of prompts and answers together; null for no such limit. */
  max_tokens_per_day: number | null;
  /** Questions at once; null for no such limit. */
  max_concurrent_requests: number | null;
  /** Whether its questions must not leave this machine. */
  local_only: boolean;
}

/** A key of the owner's API. Its text is known to its bearer alone. */
export interface ApiKey extends ApiKeyTerms {
  /** Eight characters that name it. */
  id: string;
  /** What the owner calls it; no two keys in force have the same name. */
  name: string;
  /** RFC 3339 in UTC. */
  created_at: string;
  /** RFC 3339 in UTC, or null for never. */
  expires_at: string | null;
  /** When it was taken back, RFC 3339 in UTC, or null while it is in force. */
  revoked_at: string | null;
  /** RFC 3339 in UTC, or null before its first use. */
  last_used_at: string | null;
}

/** A key as the owner orders it: the body of `POST /keys`. */
export interface ApiKeyOrder extends ApiKeyTerms {
  /** What the owner calls it. */
  name: string;
  /** When it ends, RFC 3339 in UTC, or null for never. */
  expires_at: string | null;
}

const FIELDS = [
  "name",
  "expires_at",
  "models",
  "max_requests_per_minute",
  "max_tokens_per_day",
  "max_concurrent_requests",
  "local_only",
];
const MOST = 1_000_000_000;
const KEY_BYTES = 32;
const INSTANT_REGEXP = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

/** Makes the text of a new key: `ark-` and 43 characters that say 32 random bytes. */
export function newApiKeyText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return `ark-${bytes.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

/** SHA-256 of a key's text, hex. A key is 256 random bits: no slow hash makes it harder to guess. */
export function apiKeyHash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Reads an order for a key strictly: an unknown field is refused. What is omitted is no limit, and every model.
 *
 * @throws {ArkError} `bad_request`, with a sentence that names the field.
 */
export function decodeApiKeyOrder(value: unknown): ApiKeyOrder {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad("The order must be an object");
  const fields = value as Record<string, unknown>;
  const unknown = Object.keys(fields).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) throw bad(`The order has an unknown field: ${label(unknown)}`);
  const { name, local_only = false } = fields;
  if (typeof name !== "string" || name === "" || label(name) !== name) {
    throw bad(`Field name must be a text of 1 to ${LIMITS.nameLength} printable characters`);
  }
  if (typeof local_only !== "boolean") throw bad("Field local_only must be true or false");
  return {
    name,
    expires_at: instant(fields.expires_at ?? null),
    models: patterns(fields.models ?? ["*"]),
    max_requests_per_minute: limit(fields, "max_requests_per_minute"),
    max_tokens_per_day: limit(fields, "max_tokens_per_day"),
    max_concurrent_requests: limit(fields, "max_concurrent_requests"),
    local_only,
  };
}

function instant(value: unknown): string | null {
  if (value === null) return null;
  const time = typeof value === "string" && INSTANT_REGEXP.test(value) ? Date.parse(value) : NaN;
  if (Number.isNaN(time)) throw bad("Field expires_at must be a time such as 2026-12-20T00:00:00Z");
  return new Date(time).toISOString();
}

function patterns(value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > LIMITS.offeredModels) {
    throw bad("Field models must be a list of names of models, * for any text in a name");
  }
  for (const model of value) {
    if (typeof model !== "string" || model.length > LIMITS.modelRefLength || !/^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(model)) {
      throw bad("Each entry of models must be the name of a model");
    }
  }
  return [...value];
}

function limit(fields: Record<string, unknown>, name: string): number | null {
  const value = fields[name] ?? null;
  if (value === null) return null;
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > MOST) {
    throw bad(`Field ${name} must be a whole number from 1 to ${MOST}`);
  }
  return value as number;
}

function bad(message: string): ArkError {
  return new ArkError("bad_request", message);
}
