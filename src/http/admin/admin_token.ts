import { timingSafeEqual } from "node:crypto";

/** The admin token cannot be used as it lies on the disk. The message says what to do. */
export class AdminTokenError extends Error {
  /** Always `"AdminTokenError"`. */
  override readonly name = "AdminTokenError";
}

/**
 * Reads the token of the admin API, 43 characters, and makes one when there is none. Whoever can read the file may do
 * what the owner may, so it is not used when others can.
 *
 * @throws {AdminTokenError} when others can read the file, or when it holds no token.
 */
export async function loadAdminToken(path: string): Promise<string> {
  try {
    return await readAdminToken(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const token = crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });
  await Deno.writeTextFile(path, token + "\n", { createNew: true, mode: 0o600 });
  return token;
}

/**
 * Reads the token of the admin API.
 *
 * @throws {AdminTokenError} when others can read the file, or when it holds no token.
 * @throws {Deno.errors.NotFound} when there is none.
 */
export async function readAdminToken(path: string): Promise<string> {
  const [{ mode }, text] = await Promise.all([Deno.stat(path), Deno.readTextFile(path)]);
  if (mode !== null && (mode & 0o077) !== 0 && Deno.build.os !== "windows") {
    throw new AdminTokenError(`Other users can read ${path}: run chmod 600 on it, or delete it to get a new token`);
  }
  const token = text.trim();
  if (!/^[A-Za-z0-9_-]{43}$/.test(token)) {
    throw new AdminTokenError(`There is no token in ${path}: delete it to get a new one at the next start`);
  }
  return token;
}

/** Compares a given token with the right one in a time that does not tell where they differ. */
export function sameToken(given: string, right: string): boolean {
  const [a, b] = [new TextEncoder().encode(given), new TextEncoder().encode(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
