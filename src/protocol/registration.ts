import { type Identity, type NodeId, nodeIdOf, publicKeyOf, verify } from "@ark/node/identity";
import { ArkError } from "./errors.ts";

/** Domain of the signature over a {@linkcode Registration}. */
export const REGISTRATION_DOMAIN = "ark-registry/1\n";

/** What a registration may be at most. */
export const REGISTRATION_LIMITS = {
  /** Addresses of one node. */
  endpoints: 8,
  /** Models of one node. */
  models: 64,
  /** Characters of an address or of a model's name. */
  characters: 200,
  /** How long one counts, in milliseconds: a day. */
  lifeMs: 86_400_000,
} as const;

/** What a node says of itself in a registry: nothing else, and only where its owner wants it there. */
export interface Registration {
  /** Who says it. */
  node_id: NodeId;
  /** Where it can be dialled, as `host:port`; none takes the node out of the registry. */
  endpoints: string[];
  /** Models that its owner wants to be found by, as `name:tag`. */
  models: string[];
  /** More each time: what is not more is a repetition. */
  seq: number;
  /** When it ends, RFC 3339 in UTC with milliseconds; at most a day ahead. */
  not_after: string;
}

/** A {@linkcode Registration} with the node's signature. A registry can hide or delay one, and cannot make one up. */
export interface SignedRegistration extends Registration {
  /** 64 bytes as base64. */
  signature: string;
}

const FIELDS = ["node_id", "endpoints", "models", "seq", "not_after", "signature"];
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/;
const ENDPOINT = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?):([1-9]\d{0,4})$/;
const MODEL = /^[a-z0-9][a-z0-9._:/@+-]*$/;

/** The bytes that are signed: domain, then the fields in the order of the type, as JSON without spaces. */
export function registrationBytes(
  { node_id, endpoints, models, seq, not_after }: Registration,
): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(
    REGISTRATION_DOMAIN + JSON.stringify({ node_id, endpoints, models, seq, not_after }),
  );
}

/** Signs a registration of this node. */
export function signRegistration(
  identity: Pick<Identity, "id" | "sign">,
  { endpoints, models, seq, lifeMs, now = Date.now() }: {
    endpoints: readonly string[];
    models: readonly string[];
    seq: number;
    lifeMs: number;
    now?: number;
  },
): SignedRegistration {
  const registration: Registration = {
    node_id: identity.id,
    endpoints: [...endpoints],
    models: [...models],
    seq,
    not_after: new Date(now + Math.min(lifeMs, REGISTRATION_LIMITS.lifeMs)).toISOString(),
  };
  return { ...registration, signature: identity.sign(registrationBytes(registration)).toBase64() };
}

/**
 * Reads a registration by the letter, and verifies its signature. Whether it is in time and newer than the one before is
 * for the registry to say.
 *
 * @throws {ArkError} `bad_request`, or `unauthenticated` where the signature is not the node's.
 */
export function decodeSignedRegistration(value: unknown): SignedRegistration {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad("is no object");
  const fields = value as Record<string, unknown>;
  if (Object.keys(fields).length !== FIELDS.length || !FIELDS.every((name) => Object.hasOwn(fields, name))) {
    throw bad("has other fields than a registration has");
  }
  const { node_id, endpoints, models, seq, not_after, signature } = fields;
  if (typeof node_id !== "string" || !isNodeId(node_id)) throw bad("names no node");
  if (!isList(endpoints, { most: REGISTRATION_LIMITS.endpoints, is: isEndpoint })) {
    throw bad("has something else than up to 8 addresses as host:port");
  }
  if (!isList(models, { most: REGISTRATION_LIMITS.models, is: (model) => MODEL.test(model) })) {
    throw bad("has something else than up to 64 names of models");
  }
  if (!Number.isSafeInteger(seq) || (seq as number) < 1) throw bad("has no number of its own");
  if (typeof not_after !== "string" || !INSTANT.test(not_after) || Number.isNaN(Date.parse(not_after))) {
    throw bad("does not say when it ends");
  }
  if (typeof signature !== "string" || !SIGNATURE.test(signature)) throw bad("has no signature");
  const registration = { node_id, endpoints, models, seq: seq as number, not_after, signature };
  const bytes = Uint8Array.fromBase64(signature);
  // Of the last character of base64 some bits say nothing: two spellings of one signature are one too many.
  if (bytes.toBase64() !== signature) throw bad("has no signature");
  if (!verify(publicKeyOf(node_id), registrationBytes(registration), bytes)) {
    throw new ArkError("unauthenticated", "The registration is not signed by the node that it names");
  }
  return registration;
}

function isNodeId(text: string): boolean {
  try {
    return nodeIdOf(publicKeyOf(text)) === text;
  } catch {
    return false;
  }
}

function isEndpoint(text: string): boolean {
  const [, port] = ENDPOINT.exec(text) ?? [];
  return port !== undefined && Number(port) < 65_536;
}

function isList(value: unknown, { most, is }: { most: number; is(text: string): boolean }): value is string[] {
  if (!Array.isArray(value) || value.length > most || new Set(value).size !== value.length) return false;
  return value.every((one) => typeof one === "string" && one.length <= REGISTRATION_LIMITS.characters && is(one));
}

function bad(what: string): ArkError {
  return new ArkError("bad_request", `The registration ${what}`);
}
