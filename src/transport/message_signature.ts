import { hash } from "node:crypto";

const ENCODER = new TextEncoder();
/** Holds one base at a time: a new buffer for each costs more than to fill it. */
const SCRATCH = new Uint8Array(8_192);

/** One covered component: its identifier as it stands in `Signature-Input`, and its value. */
export type Component = readonly [identifier: string, value: string];

/** The text that is signed (RFC 9421 section 2.5): each component on a line, then the parameters. */
export function signatureBase(components: readonly Component[], parameters: string): string {
  let base = "";
  for (const [identifier, value] of components) base += `${identifier}: ${value}\n`;
  return `${base}"@signature-params": ${parameters}`;
}

/** The bytes of a base, to be signed or verified at once: they are overwritten by the next call. */
export function baseBytes(base: string): Uint8Array<ArrayBuffer> {
  const { read, written } = ENCODER.encodeInto(base, SCRATCH);
  return read === base.length ? SCRATCH.subarray(0, written) : ENCODER.encode(base);
}

/** Value of `Content-Digest` (RFC 9530) for a body. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash("sha256", body, "base64")}:`;
}

/** What stands for a request in logs and receipts: SHA-256 of the signature's bytes, hex. */
export function signatureHash(signature: Uint8Array): string {
  return hash("sha256", signature, "hex");
}

/** Decodes base64 that must be spelt in the one canonical way; null otherwise. */
export function strictBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return null;
  }
}
