import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { ArkError } from "@ark/node/protocol";

/** Name of the manifest in a folder that a model is carried in. */
export const MANIFEST_NAME = "manifest.json";
/** Name of the folder with the files of that model. */
export const BLOBS_NAME = "blobs";

/** Name of a file of a model in that folder. */
export function blobName(sha256: string): string {
  return `sha256-${sha256}`;
}

/** Name of the hashes of its chunks beside it. */
export function chunksName(sha256: string): string {
  return `sha256-${sha256}.chunks`;
}

/**
 * Opens a regular file of a folder to read it; a link is none. File systems of USB sticks may write names in capitals.
 *
 * @throws {ArkError} `model_not_found` where there is none of that name, `forbidden` where it is a link or a folder.
 */
export async function openCarried(directory: string, name: string): Promise<{ file: FileHandle; size: number }> {
  const path = join(directory, await spelled(directory, name));
  try {
    const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    const info = await file.stat();
    if (info.isFile()) return { file, size: info.size };
    await file.close();
  } catch (error) {
    const { code } = Object(error) as { code?: unknown };
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new ArkError("model_not_found", `${path} is missing: copy the whole folder again, with all that is in it`);
    }
    if (code !== "ELOOP" && code !== "EMLINK") {
      throw new ArkError("unavailable", `Cannot read ${path} (${String(code)}): this node's user must be allowed to`, {
        cause: error,
      });
    }
  }
  throw new ArkError("forbidden", `${path} is no file but a link or a folder: it is not followed`);
}

/**
 * Path of a folder in a folder.
 *
 * @throws {ArkError} `forbidden` where it is a link or a file, `model_not_found` where it is missing.
 */
export async function carriedFolder(directory: string, name: string): Promise<string> {
  const path = join(directory, await spelled(directory, name));
  const info = await Deno.lstat(path).catch(() => null);
  if (info === null) {
    throw new ArkError("model_not_found", `${path} is missing: copy the whole folder again, with all that is in it`);
  }
  if (!info.isDirectory) {
    throw new ArkError("forbidden", `${path} is no folder but a link or a file: it is not followed`);
  }
  return path;
}

/** A name as it is written in a folder, where only upper and lower case differ. */
async function spelled(directory: string, name: string): Promise<string> {
  if (await Deno.lstat(join(directory, name)).then(() => true, () => false)) return name;
  try {
    for await (const entry of Deno.readDir(directory)) {
      if (entry.name.toLowerCase() === name.toLowerCase()) return entry.name;
    }
  } catch {
    return name;
  }
  return name;
}
