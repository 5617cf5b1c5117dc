import { formatPublicKey, type NodeId, nodeIdOf, parseNodeId, parsePublicKey, publicKeyOf } from "@ark/node/identity";
import { ArkError, label, LIMITS, reasonOf } from "@ark/node/protocol";
import { parseWireguardKey } from "./wireguard_key.ts";

/** What a peer may do here; in the shape of `approved_peers.json`. */
export interface Permissions {
  /** Whether it may send prompts to the models below. */
  can_request_inference: boolean;
  /** Whether it may download weights of the models below. */
  can_pull_models: boolean;
  /** Models it may use, as `name:tag`; `*` stands for any text, so `["*"]` is every model. */
  models_shared: string[];
  /** Content packs it may read, by name, with `*` for any text; absent for none. */
  content_shared?: string[];
  /** Its requests that may run at once, at least 1. */
  max_concurrent_requests: number;
  /** Its requests that may begin in a minute, at least 1; absent for no such limit. */
  max_requests_per_minute?: number;
  /** Tokens of its prompts and of the answers in any 24 hours, at least 1; absent for no such limit. */
  max_tokens_per_day?: number;
  /** Longest answer in tokens, at least 1; absent for `LIMITS.peerMaxTokens`. */
  max_tokens_per_request?: number;
}

/** One entry of `approved_peers.json`. */
export interface ApprovedPeer {
  /** Its id, which is its key in another spelling. */
  node_id: NodeId;
  /** `ed25519:<base64>` */
  public_key: string;
  /** Label that the owner sees; never a key. */
  name: string;
  /** When it was approved, RFC 3339. */
  approved_at: string;
  /** When the approval ends, RFC 3339; absent for never. */
  expires_at?: string;
  /** Whether the owner set it aside: it stays paired, and may ask nothing. Absent for no. */
  paused?: true;
  /** False until the owner has compared the words on both screens; absent where nothing is left to compare. */
  verified?: false;
  /** Whether it is a node of the owner's own. It grants nothing: it only says whose demand and replicas count. */
  own?: true;
  /** Its key in a WireGuard network, `wg:<base64>`; never proof of who it is. */
  wireguard_key?: string;
  /** What it may do here. */
  permissions: Permissions;
}

/** An approval as the owner asks for it: the body of `POST /peers/approve`. */
export interface Approval {
  /** Id, or any label when `public_key` is given (the founding texts' `ark-neighbor-001`). */
  node_id?: string;
  /** `ed25519:<base64>` */
  public_key?: string;
  /** Label for people. */
  name?: string;
  /** When it was approved, RFC 3339; absent for now. */
  approved_at?: string;
  /** When it ends, RFC 3339. */
  expires_at?: string;
  /** Whether it is set aside. */
  paused?: boolean;
  /** Whether the words on both screens were compared, or need not be. */
  verified?: boolean;
  /** Whether it is the owner's own; absent leaves it as it was. */
  own?: boolean;
  /** `wg:<base64>` */
  wireguard_key?: string;
  /** What it may do; what is omitted it may not. */
  permissions?: Partial<Permissions>;
}

const PEER_FIELDS = [
  "node_id",
  "public_key",
  "name",
  "approved_at",
  "expires_at",
  "paused",
  "verified",
  "own",
  "wireguard_key",
  "permissions",
];
const PERMISSION_FIELDS = [
  "can_request_inference",
  "can_pull_models",
  "models_shared",
  "content_shared",
  "max_concurrent_requests",
  "max_requests_per_minute",
  "max_tokens_per_day",
  "max_tokens_per_request",
];

/**
 * Reads the body of an approval strictly: an unknown field is refused, an omitted permission is none, the id must belong
 * to the key.
 *
 * @throws {ArkError} `bad_request`, with a sentence that names the field.
 */
export function decodeApproval(value: unknown, approvedAt: string): ApprovedPeer {
  const fields = object(value, "approval");
  refuseUnknown(fields, PEER_FIELDS, "approval");
  const { id, key, alias } = whoIs(fields);
  if (fields.name !== undefined && typeof fields.name !== "string") throw bad("Field name must be a text");
  const name = label(fields.name ?? alias);
  return {
    node_id: id,
    public_key: formatPublicKey(key),
    name: name || `ark ${id.slice(0, 8)}`,
    approved_at: fields.approved_at === undefined ? approvedAt : instant(fields.approved_at, "approved_at"),
    ...(fields.expires_at === undefined ? {} : { expires_at: instant(fields.expires_at, "expires_at") }),
    ...(flag(fields, "paused") ? { paused: true } : {}),
    ...(fields.verified === undefined || flag(fields, "verified") ? {} : { verified: false }),
    ...(flag(fields, "own") ? { own: true } : {}),
    ...(fields.wireguard_key === undefined ? {} : { wireguard_key: readWireguardKey(fields.wireguard_key) }),
    permissions: decodePermissions(fields.permissions === undefined ? {} : fields.permissions),
  };
}

function whoIs(fields: Record<string, unknown>): { id: NodeId; key: Uint8Array; alias: string | null } {
  const idText = fields.node_id;
  if (idText !== undefined && typeof idText !== "string") throw bad("Field node_id must be a text");
  const stated = idText !== undefined && looksLikeId(idText) ? readId(idText) : null;
  if (fields.public_key === undefined) {
    if (idText === undefined) throw bad("An approval needs public_key or node_id");
    const id = stated ?? readId(idText);
    return { id, key: publicKeyOf(id), alias: null };
  }
  if (typeof fields.public_key !== "string") throw bad("Field public_key must be a text such as ed25519:…");
  const key = readKey(fields.public_key);
  const id = nodeIdOf(key);
  if (stated !== null && stated !== id) throw bad("Fields node_id and public_key name two different nodes");
  return { id, key, alias: stated === null && idText !== undefined ? idText : null };
}

/** An id with a typing error is no label: it would be approved under another key without a word. */
function looksLikeId(text: string): boolean {
  return /^[a-z0-9]{56}$/i.test(text.replaceAll(/[\s-]/g, ""));
}

function readId(text: string): NodeId {
  try {
    return parseNodeId(text);
  } catch (error) {
    throw bad(`Field node_id is not the id of a node: ${reasonOf(error)}`);
  }
}

function readKey(text: string): Uint8Array {
  try {
    return parsePublicKey(text);
  } catch (error) {
    throw bad(`Field public_key cannot be used: ${reasonOf(error)}`);
  }
}

function readWireguardKey(value: unknown): string {
  if (typeof value !== "string") throw bad("Field wireguard_key must be a text such as wg:…");
  try {
    return parseWireguardKey(value);
  } catch (error) {
    throw bad(`Field wireguard_key cannot be used: ${reasonOf(error)}`);
  }
}

function decodePermissions(value: unknown): Permissions {
  const fields = object(value, "permissions");
  refuseUnknown(fields, PERMISSION_FIELDS, "permissions");
  const { models_shared: shared = [], max_concurrent_requests: most = 1 } = fields;
  const content = fields.content_shared === undefined
    ? []
    : names("content_shared", { value: fields.content_shared, what: "pack" });
  return {
    can_request_inference: flag(fields, "can_request_inference"),
    can_pull_models: flag(fields, "can_pull_models"),
    models_shared: names("models_shared", { value: shared, what: "model" }),
    ...(content.length === 0 ? {} : { content_shared: content }),
    max_concurrent_requests: count("max_concurrent_requests", { value: most, most: 1_000 }),
    ...limit(fields, "max_requests_per_minute"),
    ...limit(fields, "max_tokens_per_day"),
    ...limit(fields, "max_tokens_per_request"),
  };
}

function names(field: string, { value, what }: { value: unknown; what: string }): string[] {
  if (!Array.isArray(value) || value.length > LIMITS.offeredModels) throw bad(`Field ${field} must be a list`);
  for (const name of value) {
    if (typeof name !== "string" || name.length > LIMITS.modelRefLength || !/^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(name)) {
      throw bad(`Each entry of ${field} must be the name of a ${what}`);
    }
  }
  return [...value];
}

/** The largest number that each limit may have: what is more is a typing error. */
const LARGEST = {
  max_requests_per_minute: 1_000_000,
  max_tokens_per_day: 1_000_000_000_000,
  max_tokens_per_request: 1_000_000,
} as const;

function limit(fields: Record<string, unknown>, name: keyof typeof LARGEST): Partial<Permissions> {
  const { [name]: value } = fields;
  return value === undefined ? {} : { [name]: count(name, { value, most: LARGEST[name] }) };
}

function count(name: string, { value, most }: { value: unknown; most: number }): number {
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > most) {
    throw bad(`Field ${name} must be a whole number from 1 to ${most}`);
  }
  return value as number;
}

function flag(fields: Record<string, unknown>, name: string): boolean {
  const { [name]: value = false } = fields;
  if (typeof value !== "boolean") throw bad(`Field ${name} must be true or false`);
  return value;
}

const INSTANT_REGEXP = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/i;

function instant(value: unknown, name: string): string {
  const time = typeof value === "string" && INSTANT_REGEXP.test(value) ? Date.parse(value) : NaN;
  if (Number.isNaN(time)) throw bad(`Field ${name} must be a time such as 2026-12-20T00:00:00Z`);
  return new Date(time).toISOString();
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad(`The ${what} must be an object`);
  return value as Record<string, unknown>;
}

function refuseUnknown(fields: Record<string, unknown>, known: string[], what: string): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown !== undefined) throw bad(`The ${what} has an unknown field: ${label(unknown)}`);
}

function bad(message: string): ArkError {
  return new ArkError("bad_request", message);
}

/** Whether a model's id matches an entry of `models_shared`: the same text, or a pattern with `*`, in any case. */
export function sharesModel(patterns: readonly string[], model: string): boolean {
  const id = model.toLowerCase();
  return patterns.some((pattern) => matches(pattern.toLowerCase(), id));
}

/** Whether a content pack may be read, by its name: what is not shared is not there. */
export function sharesContent({ content_shared: patterns = [] }: Permissions, pack: string): boolean {
  return sharesModel(patterns, pack);
}

/** Looks for the parts between the stars from left to right, each once: no pattern can be made slow. */
function matches(pattern: string, text: string): boolean {
  const [first = "", ...others] = pattern.split("*");
  const last = others.pop();
  if (last === undefined) return pattern === text;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let from = first.length;
  const end = text.length - last.length;
  for (const part of others) {
    const at = text.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return from <= end;
}
