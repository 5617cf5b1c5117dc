import { formatPublicKey, type NodeId, nodeIdOf, parseNodeId, parsePublicKey, publicKeyOf } from "@ark/node/identity";
import { ArkError, label, LIMITS, reasonOf } from "@ark/node/protocol";

/** What a peer may do here; in the shape of `approved_peers.json`. */
export interface Permissions {
  /** Whether it may send prompts to the models below. */
  can_request_inference: boolean;
  /** Whether it may download weights of the models below. */
  can_pull_models: boolean;
  /** Models it may use, as `name:tag`; `*` stands for any text, so `["*"]` is every model. */
  models_shared: string[];
  /** Its requests that may run at once, at least 1. */
  max_concurrent_requests: number;
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
  /** What it may do; what is omitted it may not. */
  permissions?: Partial<Permissions>;
}

const PEER_FIELDS = ["node_id", "public_key", "name", "approved_at", "expires_at", "permissions"];
const PERMISSION_FIELDS = ["can_request_inference", "can_pull_models", "models_shared", "max_concurrent_requests"];

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

function decodePermissions(value: unknown): Permissions {
  const fields = object(value, "permissions");
  refuseUnknown(fields, PERMISSION_FIELDS, "permissions");
  const { models_shared: shared = [], max_concurrent_requests: most = 1 } = fields;
  if (!Array.isArray(shared) || shared.length > LIMITS.offeredModels) throw bad("Field models_shared must be a list");
  for (const model of shared) {
    if (typeof model !== "string" || model.length > LIMITS.modelRefLength || !/^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(model)) {
      throw bad("Each entry of models_shared must be the name of a model");
    }
  }
  if (!Number.isInteger(most) || (most as number) < 1 || (most as number) > 1_000) {
    throw bad("Field max_concurrent_requests must be a whole number from 1 to 1000");
  }
  return {
    can_request_inference: flag(fields, "can_request_inference"),
    can_pull_models: flag(fields, "can_pull_models"),
    models_shared: [...shared],
    max_concurrent_requests: most as number,
  };
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

const NUMBER_WORDS = ["", "one question", "two questions", "three questions", "four questions"];

/** Says in one or two plain sentences what a peer may do. */
export function describePermissions(name: string, permissions: Permissions, expiresAt: string | null): string {
  const { can_request_inference, can_pull_models, models_shared, max_concurrent_requests: most } = permissions;
  const models = models_shared.includes("*") ? "any of your models" : listed(models_shared);
  const until = expiresAt === null ? "" : `, until ${expiresAt.slice(0, 10)}`;
  if (models_shared.length === 0 || (!can_request_inference && !can_pull_models)) {
    return `${name} may not use anything here${until}. You can ask its models, if its owner lets you.`;
  }
  const pull = can_pull_models ? `It may download ${models}.` : "It cannot download models.";
  if (!can_request_inference) return `${name} may not ask your models${until}. ${pull}`;
  return `${name} may ask ${models}, ${NUMBER_WORDS[most] ?? `${most} questions`} at a time${until}. ${pull}`;
}

function listed(models: readonly string[]): string {
  if (models.length < 2) return models.join("");
  return `${models.slice(0, -1).join(", ")} and ${models.at(-1)}`;
}
