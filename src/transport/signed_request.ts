import type { Identity, NodeId } from "@ark/node/identity";
import { TLS_NAME } from "./certificate.ts";
import { baseBytes, type Component, signatureBase, strictBase64 } from "./message_signature.ts";

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
  /** The text that was signed, ASCII. */
  base: string;
}

const COMPONENTS =
  '("@method" "@authority" "@path" "@query" "content-type" "content-length" "content-digest" "ark-to" "ark-deadline")';

/** How `Signature-Input` begins: one label, one list of components. Anything else is refused. */
const LABEL = "ark=";
const BEGINNING = LABEL + COMPONENTS;
/** The rest of it: one order of parameters. */
const PARAMETERS =
  /^;created=(0|[1-9]\d{0,11});expires=(0|[1-9]\d{0,11});nonce="((?:([A-Za-z0-9_-]{27})\.)?[A-Za-z0-9_-]{22})";keyid="([a-z2-7]{56})";alg="ed25519";tag="ark-peer\/1"$/;
const SIGNATURE = /^ark=:([A-Za-z0-9+/]{86}==):$/;
const DIGEST = /^sha-256=:[A-Za-z0-9+/]{43}=:$/;
const LENGTH = /^(?:0|[1-9]\d{0,9})$/;
const DEADLINE = /^[1-9]\d{0,8}$/;
const ID = /^[a-z2-7]{56}$/;
/** Printable ASCII, no space at either end: what a parser cannot read in two ways. The other fields allow still less. */
const CONTENT_TYPE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const TARGET = /^\/[\x21\x22\x24-\x5b\x5d-\x7e]*$/;
/** A target in which no URL parser finds anything to rewrite. */
const PATH_OF_WORDS = /^\/[A-Za-z0-9_/-]*$/;

/** Fields that are covered or carry the signature: each must occur exactly once. */
const NEEDED = [
  "host",
  "content-type",
  "content-length",
  "content-digest",
  "ark-to",
  "ark-deadline",
  "signature-input",
  "signature",
] as const;

/** Fields that would change what the covered ones mean. */
const REFUSED = ["transfer-encoding", "content-encoding", "expect", "upgrade", "trailer"] as const;

/** Where the value of a field goes: a place for each that is needed, null for those that are refused. */
const PLACES: ReadonlyMap<string, number | null> = new Map<string, number | null>([
  ...NEEDED.map((name, place) => [name, place] as const),
  ...REFUSED.map((name) => [name, null] as const),
]);

/** The value of each needed field, in their order. */
type Values<Names extends readonly string[] = typeof NEEDED> = { -readonly [Place in keyof Names]: string };

/** More fields than this are refused: no peer sends so many. */
const MOST_FIELDS = 64;

/** Signs a request. Returns the two fields to send and the signature's bytes. */
export function signRequest(
  identity: Identity,
  head: RequestHead & SignatureStamp,
): { signatureInput: string; signatureField: string; signature: Uint8Array<ArrayBuffer> } {
  const parameters = `${COMPONENTS};created=${head.created};expires=${head.created + WINDOW_SECONDS};` +
    `nonce="${head.nonce}";keyid="${identity.id}";alg="ed25519";tag="ark-peer/1"`;
  const signature = identity.sign(baseBytes(baseOf(head, parameters)));
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
  const [host, contentType, contentLength, digest, to, deadline, input, signatureField] = fields;
  if (!input.startsWith(BEGINNING)) return null;
  const [rest = "", created = "", expires = "", nonce = "", serverNonce, keyId = ""] =
    PARAMETERS.exec(input.slice(BEGINNING.length)) ?? [];
  const signature = strictBase64(SIGNATURE.exec(signatureField)?.[1] ?? "");
  if (rest === "" || signature?.length !== 64) return null;
  if (Number(expires) !== Number(created) + WINDOW_SECONDS) return null;
  const shaped = host === TLS_NAME && CONTENT_TYPE.test(contentType) && LENGTH.test(contentLength) &&
    DIGEST.test(digest) && ID.test(to) && DEADLINE.test(deadline);
  if (!shaped) return null;
  const request: RequestHead = {
    method,
    target,
    contentType,
    contentLength: Number(contentLength),
    contentDigest: digest,
    to,
    deadlineMs: Number(deadline),
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
  if (PATH_OF_WORDS.test(target)) return true;
  if (!TARGET.test(target)) return false;
  const url = URL.parse(`https://${TLS_NAME}${target}`);
  return url !== null && url.pathname + url.search === target;
}

/** The values of the needed fields in their order; null unless each is there once and none of the refused ones is. */
function collect(rawHeaders: readonly string[]): Values | null {
  if (rawHeaders.length > 2 * MOST_FIELDS) return null;
  const values: Values = ["", "", "", "", "", "", "", ""];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const place = PLACES.get((rawHeaders[i] ?? "").toLowerCase());
    if (place === undefined) continue;
    if (place === null || values[place] !== "") return null;
    const value = rawHeaders[i + 1] ?? "";
    if (value === "") return null;
    values[place] = value;
  }
  return values.includes("") ? null : values;
}

function baseOf(head: RequestHead, parameters: string): string {
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
