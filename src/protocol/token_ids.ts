import { LIMITS } from "./limits.ts";

const LITTLE_ENDIAN = true;

/** Ids of a model's vocabulary: 32-bit unsigned integers, little-endian, in base64 with padding. */
export type TokenIds = string;

/** Writes {@linkcode TokenIds}. */
export function encodeTokenIds(ids: readonly number[]): TokenIds {
  const bytes = new Uint8Array(4 * ids.length);
  const view = new DataView(bytes.buffer);
  for (const [index, id] of ids.entries()) view.setUint32(4 * index, id, LITTLE_ENDIAN);
  return bytes.toBase64();
}

/**
 * Reads {@linkcode TokenIds}.
 *
 * @throws {SyntaxError} when it is not the base64 of whole ids below 2^31.
 */
export function decodeTokenIds(text: TokenIds): number[] {
  const bytes = Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  if (bytes.length % 4 !== 0) throw new SyntaxError("Token ids are 4 bytes each");
  const view = new DataView(bytes.buffer);
  const ids: number[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const id = view.getUint32(at, LITTLE_ENDIAN);
    if (id >= 2 ** 31) throw new SyntaxError("A token id is below 2^31");
    ids.push(id);
  }
  return ids;
}

/** Whether a value is {@linkcode TokenIds} of at least one token and no more than can be gone on with. */
export function isTokenIds(value: unknown): value is TokenIds {
  if (typeof value !== "string" || value.length > 6 * LIMITS.resumedTokens) return false;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return false;
  try {
    return decodeTokenIds(value).length <= LIMITS.resumedTokens;
  } catch {
    return false;
  }
}
