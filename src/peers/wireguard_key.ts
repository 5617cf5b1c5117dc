const TYPE = "wg:";

/**
 * Reads the key that a node has in a WireGuard network, `wg:<base64>`, and returns it in that spelling. It tells where a
 * node may be found and never who it is: a WireGuard key cannot sign.
 *
 * @throws {SyntaxError} with a sentence that says what is wrong and what to do.
 */
export function parseWireguardKey(text: string): string {
  const trimmed = text.trim();
  if (trimmed.startsWith("ed25519:")) {
    throw new SyntaxError(
      "Cannot use a node's key as a WireGuard key: the key that begins with ed25519: belongs into public_key, and " +
        "`wg show` prints the other one",
    );
  }
  if (!trimmed.startsWith(TYPE)) {
    throw new SyntaxError(
      "Cannot read a WireGuard key without its type: write wg: before the key that `wg show` prints for that node",
    );
  }
  const base64 = trimmed.slice(TYPE.length);
  if (!isKey(base64)) {
    throw new SyntaxError(
      "Cannot read a WireGuard key: after wg: there must be the 44 characters of base64 that `wg show` prints",
    );
  }
  return TYPE + base64;
}

function isKey(base64: string): boolean {
  // A fixed shape first: the decoder forgives white space, and one key must have one spelling.
  if (!/^[A-Za-z0-9+/]{43}=$/.test(base64)) return false;
  try {
    return Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" }).some((byte) => byte !== 0);
  } catch {
    return false;
  }
}
