import { copyFile, link } from "node:fs/promises";
import { fileDigest } from "../file_digest.ts";
import type { HashedFile } from "../model_catalogue.ts";
import { millisecondsOf } from "../model_folder.ts";
import { diskError } from "./disk_error.ts";

/**
 * Gives a file that is here already a further name: a second link to the same bytes where that goes, which takes no room, else
 * a copy, which is hashed. The file itself stays as it is. False where it is not what it was.
 *
 * @throws {ArkError} `unavailable` where the disk is full or cannot be written.
 */
export async function copyBlob(from: HashedFile, to: string, signal: AbortSignal): Promise<boolean> {
  await Deno.remove(to).catch(() => {});
  if (!await isSame(from, from.path)) return false;
  try {
    await link(from.path, to);
    if (await isSame(from, to)) return true;
  } catch {
    // Another file system, another owner, or a file system without links.
    try {
      await copyFile(from.path, to);
      if (await fileDigest(to, { signal }) === from.sha256) return true;
    } catch (error) {
      await Deno.remove(to).catch(() => {});
      signal.throwIfAborted();
      throw diskError(error, to);
    }
  }
  await Deno.remove(to).catch(() => {});
  return false;
}

async function isSame({ size, mtimeMs }: HashedFile, path: string): Promise<boolean> {
  const info = await Deno.lstat(path).catch(() => null);
  return info !== null && info.isFile && info.size === size && millisecondsOf(info) === mtimeMs;
}
