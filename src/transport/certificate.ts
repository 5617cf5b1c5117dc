import { type Identity, isAcceptableKey } from "@ark/node/identity";

/**
 * The TLS name of every node. Constant, so that no id travels in the clear, and under `.invalid`, for which no public
 * authority issues certificates.
 */
export const TLS_NAME = "node.ark.invalid";

const ENCODER = new TextEncoder();
const ED25519 = bytes(0x06, 3, 0x2b, 0x65, 0x70);
const ALGORITHM = der(0x30, ED25519);
const V3 = der(0xa0, bytes(2, 1, 2));
// The issuer of a leaf must equal the subject of its anchor byte for byte.
const NAME = der(0x30, der(0x31, der(0x30, bytes(0x06, 3, 0x55, 4, 3), der(0x0c, ENCODER.encode("ark")))));
const NO_UNUSED_BITS = bytes(0);
const END_OF_TIME = der(0x18, ENCODER.encode("99991231235959Z"));
// From 1970, so that a board whose clock was never set can still connect.
const LEAF_VALIDITY = der(0x30, der(0x17, ENCODER.encode("700101000000Z")), END_OF_TIME);
const ANCHOR_VALIDITY = der(0x30, der(0x18, ENCODER.encode("19700101000000Z")), END_OF_TIME);
const EXTENSIONS = der(
  0xa3,
  der(
    0x30,
    // basicConstraints, critical, CA:FALSE
    der(0x30, bytes(0x06, 3, 0x55, 0x1d, 0x13), bytes(1, 1, 0xff), der(4, der(0x30))),
    // extKeyUsage: serverAuth, clientAuth
    der(
      0x30,
      bytes(0x06, 3, 0x55, 0x1d, 0x25),
      der(4, der(0x30, usage(1), usage(2))),
    ),
    // subjectAltName
    der(0x30, bytes(0x06, 3, 0x55, 0x1d, 0x11), der(4, der(0x30, der(0x82, ENCODER.encode(TLS_NAME))))),
  ),
);

/** Mints a node's self-signed X.509 v3 certificate, in PEM. Anew at each start; nothing is stored. */
export function mintCertificate(identity: Identity): string {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  // Positive and minimally encoded.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 1;
  const tbs = der(
    0x30,
    V3,
    der(2, serial),
    ALGORITHM,
    NAME,
    LEAF_VALIDITY,
    NAME,
    subjectPublicKeyInfo(identity.publicKey),
    EXTENSIONS,
  );
  return pem(der(0x30, tbs, ALGORITHM, der(3, NO_UNUSED_BITS, identity.sign(tbs))));
}

const MOST_ANCHORS = 1_024;
const anchors = new Map<string, string>();

/**
 * Makes the trust anchor that pins a connection to a key, in PEM. A verifier takes only name and key from an anchor, so
 * its signature is zeros and no private key is needed.
 *
 * @throws {TypeError} when the bytes are no acceptable Ed25519 key.
 */
export function trustAnchor(key: Uint8Array): string {
  const name = key.toHex();
  const known = anchors.get(name);
  if (known !== undefined) return known;
  if (!isAcceptableKey(key)) throw new TypeError("Cannot pin a connection: the bytes are no acceptable Ed25519 key");
  const tbs = der(
    0x30,
    V3,
    bytes(2, 1, 1),
    ALGORITHM,
    NAME,
    ANCHOR_VALIDITY,
    NAME,
    subjectPublicKeyInfo(key),
  );
  const anchor = pem(der(0x30, tbs, ALGORITHM, der(3, NO_UNUSED_BITS, new Uint8Array(64))));
  if (anchors.size >= MOST_ANCHORS) anchors.clear();
  anchors.set(name, anchor);
  return anchor;
}

const SPKI_PREFIX = Uint8Array.fromHex("302a300506032b6570032100");

/**
 * Finds the Ed25519 key in a certificate that some node presented, or null. Careless on purpose: what is found proves
 * nothing until a pinned handshake with it succeeds.
 */
export function keyInCertificate(certificate: Uint8Array): Uint8Array<ArrayBuffer> | null {
  for (let at = certificate.indexOf(0x30); at !== -1; at = certificate.indexOf(0x30, at + 1)) {
    if (!SPKI_PREFIX.every((byte, i) => certificate[at + i] === byte)) continue;
    const key = certificate.slice(at + SPKI_PREFIX.length, at + SPKI_PREFIX.length + 32);
    return isAcceptableKey(key) ? new Uint8Array(key) : null;
  }
  return null;
}

/** Encodes one DER element: tag, length, the parts one after the other. At most 65,535 bytes of content. */
export function der(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  const encoded = new Uint8Array(header.length + length);
  encoded.set(header);
  let at = header.length;
  for (const part of parts) {
    encoded.set(part, at);
    at += part.length;
  }
  return encoded;
}

/** Wraps a DER certificate as PEM. */
export function pem(certificate: Uint8Array): string {
  const lines = certificate.toBase64().match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function subjectPublicKeyInfo(key: Uint8Array): Uint8Array<ArrayBuffer> {
  return der(0x30, ALGORITHM, der(3, NO_UNUSED_BITS, key));
}

function usage(purpose: number): Uint8Array<ArrayBuffer> {
  return bytes(0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, purpose);
}

function bytes(...values: number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values);
}
