const TYPE = "ed25519:";

/** y coordinates of the eight points of small order and their non-canonical spellings, as hex, sign bit cleared. */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/**
 * Whether 32 bytes encode a point that may be a key or the R of a signature: canonical (y below 2^255 - 19), and none of
 * the points of small order, with which constant signatures verify for many messages.
 */
export function isAcceptablePoint(point: Uint8Array): boolean {
  if (point.length !== 32) return false;
  const top = (point[31] ?? 0) & 0x7f;
  // The bad y begin with these bytes; an honest point practically never does, so the set is seldom asked.
  const first = point[0] ?? 0;
  if (top === 0x7f && first >= 0xed && point.subarray(1, 31).every((byte) => byte === 0xff)) return false;
  if (top !== 0 && top !== 0x05 && top !== 0x7a && top !== 0x7f) return true;
  const y = point.slice();
  y[31] = top;
  return !SMALL_ORDER.has(y.toHex());
}

/** Whether bytes may be a node's public key: 32 bytes, canonical, not of small order. Deno itself accepts the others. */
export function isAcceptableKey(key: Uint8Array): boolean {
  return isAcceptablePoint(key);
}

/**
 * Writes a public key as people and files do: `ed25519:<base64>`.
 *
 * @throws {TypeError} when the bytes are no acceptable key.
 */
export function formatPublicKey(key: Uint8Array): string {
  if (!isAcceptableKey(key)) throw new TypeError("Cannot format a public key: the bytes are no acceptable Ed25519 key");
  return TYPE + key.toBase64();
}

/**
 * Reads a public key from `ed25519:<base64>`, space around it allowed.
 *
 * @throws {SyntaxError} with a sentence that says what is wrong and what to do.
 */
export function parsePublicKey(text: string): Uint8Array<ArrayBuffer> {
  const trimmed = text.trim();
  if (trimmed.startsWith("wg:")) {
    throw new SyntaxError(
      "Cannot use a WireGuard key as a node's key, since it cannot sign: use the key that begins with ed25519:, " +
        "which `ark-node id` prints on that node",
    );
  }
  if (!trimmed.startsWith(TYPE)) {
    throw new SyntaxError(
      "Cannot read a public key without its type: write ed25519: before it if `ark-node id` printed it on that node " +
        "(a WireGuard key looks the same and cannot be used)",
    );
  }
  const base64 = trimmed.slice(TYPE.length);
  const key = decodeKey(base64);
  if (key === null) {
    throw new SyntaxError(
      `Cannot read a public key: after ed25519: there must be 44 characters of base64, and there are ${base64.length}` +
        (base64.length === 44 ? ", not all of them base64" : ""),
    );
  }
  if (!isAcceptableKey(key)) {
    throw new SyntaxError("Cannot accept this public key: it is one of the weak or malformed Ed25519 keys");
  }
  return key;
}

function decodeKey(base64: string): Uint8Array<ArrayBuffer> | null {
  // A fixed shape first: the decoder forgives white space, and one key must have one spelling.
  if (!/^[A-Za-z0-9+/]{43}=$/.test(base64)) return null;
  try {
    return Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" });
  } catch {
    return null;
  }
}
