import type { DataPaths } from "@ark/node/config";
import { finishRotation, IdentityError, prepareRotation, type SignedRotation } from "@ark/node/identity";
import { lockDataDirectory } from "./data_lock.ts";
import { StartError } from "./start_error.ts";

/**
 * Gives a node that is not running a new key. The old one stays beside it.
 *
 * @throws {StartError} when a node runs in the data directory, or a key file is not as it must be.
 */
export async function rotateKey(paths: DataPaths): Promise<SignedRotation> {
  await using _lock = await lockDataDirectory(paths);
  try {
    const prepared = await prepareRotation(paths.key);
    return await finishRotation(paths.key) ?? prepared;
  } catch (error) {
    if (error instanceof IdentityError) throw new StartError(error.message, { exitCode: 78, cause: error });
    throw error;
  }
}
