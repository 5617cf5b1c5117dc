import { join } from "node:path";
import { ArkError } from "@ark/node/protocol";

/** Folder within the node's own store where files are that are no model yet; hidden, so that the catalogue never looks there. */
const FOLDER = ".parts";

/** Where a file with this SHA-256 (hex) is until it is a part of a model; with `.part` behind it while it is not whole. */
export function blobPath(root: string, sha256: string): string {
  return join(root, FOLDER, `sha256-${sha256}`);
}

/**
 * Makes a hidden folder of the store where there is none, and gives its path.
 *
 * @throws {ArkError} `unavailable` where it cannot be made, or leads elsewhere.
 */
export async function hiddenFolder(root: string, name: ".parts" | ".waiting" = FOLDER): Promise<string> {
  const path = join(root, name);
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    if ((await Deno.lstat(path)).isDirectory) return path;
  } catch (error) {
    throw new ArkError(
      "unavailable",
      `Cannot make the folder ${path}: the store must be a folder that the node may write`,
      {
        cause: error,
      },
    );
  }
  throw new ArkError("unavailable", `${path} leads elsewhere or is no folder: remove it`);
}
