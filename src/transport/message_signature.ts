import { createHash } from "node:crypto";

const ENCODER = new TextEncoder();

/** One covered component: its identifier as it stands in `Signature-Input`, and its value. */
export type Component = readonly [identifier: string, value: string];

/** The bytes that are signed (RFC 9421 section 2.5): each component on a line, then the parameters. */
export function signatureBase(components: readonly Component[], parameters: string): Uint8Array<ArrayBuffer> {
  let base = "";
  for (const [identifier, value] of components) base += `${identifier}: ${value}\n`;
  return ENCODER.encode(`${base}"@signature-params": ${parameters}`);
}

/** Value of `Content-Digest` (RFC 9530) for a body. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

/** What stands for a request in logs and receipts: SHA-256 of the signature's bytes, hex. */
export function signatureHash(signature: Uint8Array): string {
  return createHash("sha256").update(signature).digest("hex");
}

/** Decodes base64 that must be spelt in the one canonical way; null otherwise. */
export function strictBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return null;
  }
}
