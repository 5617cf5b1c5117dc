import type { Identity, NodeId } from "@ark/node/identity";
import { TLS_NAME } from "./certificate.ts";
import { type Component, signatureBase, strictBase64 } from "./message_signature.ts";

/** Seconds between `created` and `expires`; also how far `created` may be from the receiver's clock. */
export const WINDOW_SECONDS = 60;

/** What a request says about itself, as far as the signature covers it. */
export interface RequestHead {
  /** `GET` or `POST`. */
  method: string;
  /** Path and query as they stand in the request line. */
  target: string;
  /** `Content-Type`. */
  contentType: string;
  /** `Content-Length`, bytes. */
  contentLength: number;
  /** `Content-Digest`: `sha-256=:…:`. */
  contentDigest: string;
  /** `Ark-To`: the receiver, which binds the request to the pinned connection. */
  to: NodeId;
  /** `Ark-Deadline`: how long the caller will wait, in milliseconds. */
  deadlineMs: number;
}

/** What makes a signature unique and fresh. */
export interface SignatureStamp {
  /** Seconds since 1970 by the caller's clock. */
  created: number;
  /** 22 characters of base64url, after the receiver's part and a dot where the receiver gave one. */
  nonce: string;
}

/** A request head with its signature, read from the wire. Not verified yet. */
export interface SignedHead extends RequestHead, SignatureStamp {
  /** The receiver's part of the nonce, or null. */
  serverNonce: string | null;
  /** Who claims to have signed: shaped like an id, not checked further. */
  keyId: NodeId;
  /** 64 bytes. */
  signature: Uint8Array<ArrayBuffer>;
  /** The bytes that were signed. */
  base: Uint8Array<ArrayBuffer>;
}

const COMPONENTS =
  '("@method" "@authority" "@path" "@query" "content-type" "content-length" "content-digest" "ark-to" "ark-deadline")';

/** How `Signature-Input` begins: one label, one list of components. Anything else is refused. */
const LABEL = "ark=";
const BEGINNING = LABEL + COMPONENTS;
/** The rest of it: one order of parameters. */
const PARAMETERS =
  /^;created=(0|[1-9]\d{0,11});expires=(\d{1,12});nonce="((?:([A-Za-z0-9_-]{27})\.)?[A-Za-z0-9_-]{22})";keyid="([a-z2-7]{56})";alg="ed25519";tag="ark-peer\/1"$/;
const SIGNATURE = /^ark=:([A-Za-z0-9+/]{86}==):$/;
const DIGEST = /^sha-256=:[A-Za-z0-9+/]{43}=:$/;
const LENGTH = /^(?:0|[1-9]\d{0,9})$/;
const DEADLINE = /^[1-9]\d{0,8}$/;
const ID = /^[a-z2-7]{56}$/;
/** Printable ASCII, no space at either end: what a parser cannot read in two ways. */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const TARGET = /^\/[\x21\x22\x24-\x5b\x5d-\x7e]*$/;

/** Fields that are covered or carry the signature: each must occur exactly once. */
const NEEDED: ReadonlySet<string> = new Set([
  "host",
  "content-type",
  "content-length",
  "content-digest",
  "ark-to",
  "ark-deadline",
  "signature-input",
  "signature",
]);

/** Fields that would change what the covered ones mean. */
const REFUSED: ReadonlySet<string> = new Set(["transfer-encoding", "content-encoding", "expect", "upgrade", "trailer"]);

/** More fields than this are refused: behind 2,000 the HTTP parser drops them unseen. */
const MOST_FIELDS = 64;

/** Signs a request. Returns the two fields to send and the signature's bytes. */
export function signRequest(
  identity: Identity,
  head: RequestHead & SignatureStamp,
): { signatureInput: string; signatureField: string; signature: Uint8Array<ArrayBuffer> } {
  const parameters = `${COMPONENTS};created=${head.created};expires=${head.created + WINDOW_SECONDS};` +
    `nonce="${head.nonce}";keyid="${identity.id}";alg="ed25519";tag="ark-peer/1"`;
  const signature = identity.sign(baseOf(head, parameters));
  return { signatureInput: `ark=${parameters}`, signatureField: `ark=:${signature.toBase64()}:`, signature };
}

/**
 * Reads a signed request head by the letter of the profile; null for everything else.
 *
 * @param head method and target of the request line, and the fields as name, value, name, value….
 */
export function parseSignedHead(
  head: { method: string; target: string; rawHeaders: readonly string[] },
): SignedHead | null {
  const { method, target } = head;
  const fields = collect(head.rawHeaders);
  if (fields === null || (method !== "GET" && method !== "POST") || !isPlainTarget(target)) return null;
  const field = (name: string): string => fields.get(name) ?? "";
  const input = field("signature-input");
  if (!input.startsWith(BEGINNING)) return null;
  const [rest = "", created = "", expires = "", nonce = "", serverNonce, keyId = ""] =
    PARAMETERS.exec(input.slice(BEGINNING.length)) ?? [];
  const signature = strictBase64(SIGNATURE.exec(field("signature"))?.[1] ?? "");
  if (rest === "" || signature?.length !== 64) return null;
  if (Number(expires) !== Number(created) + WINDOW_SECONDS || expires !== String(Number(expires))) return null;
  const shaped = field("host") === TLS_NAME && LENGTH.test(field("content-length")) &&
    DIGEST.test(field("content-digest")) && ID.test(field("ark-to")) && DEADLINE.test(field("ark-deadline"));
  if (!shaped) return null;
  const request: RequestHead = {
    method,
    target,
    contentType: field("content-type"),
    contentLength: Number(field("content-length")),
    contentDigest: field("content-digest"),
    to: field("ark-to"),
    deadlineMs: Number(field("ark-deadline")),
  };
  return {
    ...request,
    created: Number(created),
    nonce,
    serverNonce: serverNonce ?? null,
    keyId,
    signature,
    base: baseOf(request, input.slice(LABEL.length)),
  };
}

/**
 * Whether a target is an absolute path with an optional query that every reader understands alike: no fragment, no
 * backslash, nothing that a URL parser would rewrite.
 */
export function isPlainTarget(target: string): boolean {
  if (!TARGET.test(target)) return false;
  const url = URL.parse(`https://${TLS_NAME}${target}`);
  return url !== null && url.pathname + url.search === target;
}

function collect(rawHeaders: readonly string[]): Map<string, string> | null {
  if (rawHeaders.length > 2 * MOST_FIELDS) return null;
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    if (REFUSED.has(name)) return null;
    if (!NEEDED.has(name)) continue;
    const value = rawHeaders[i + 1] ?? "";
    if (fields.has(name) || !VALUE.test(value)) return null;
    fields.set(name, value);
  }
  return fields.size === NEEDED.size ? fields : null;
}

function baseOf(head: RequestHead, parameters: string): Uint8Array<ArrayBuffer> {
  const mark = head.target.indexOf("?");
  const components: Component[] = [
    ['"@method"', head.method],
    ['"@authority"', TLS_NAME],
    ['"@path"', mark === -1 ? head.target : head.target.slice(0, mark)],
    ['"@query"', mark === -1 ? "?" : head.target.slice(mark)],
    ['"content-type"', head.contentType],
    ['"content-length"', String(head.contentLength)],
    ['"content-digest"', head.contentDigest],
    ['"ark-to"', head.to],
    ['"ark-deadline"', String(head.deadlineMs)],
  ];
  return signatureBase(components, parameters);
}
