import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { ArkError } from "@ark/node/protocol";
import { diskError } from "./disk_error.ts";

/**
 * Takes a file that is being fetched for this process and this pull, and makes it where there is none. The lock is the
 * system's: it ends with the process, however that ends.
 *
 * @throws {ArkError} `busy` where somebody has it, `unavailable` where it cannot be made.
 */
export async function lockPart(path: string): Promise<Disposable> {
  for (;;) {
    const file = await create(path);
    const exclusive = true;
    if (!await file.tryLock(exclusive)) {
      file.close();
      throw new ArkError(
        "busy",
        `${path} is being fetched already, by this node or by another program: wait until that is done, or end it`,
        { retryAfterSeconds: 10 },
      );
    }
    // Whoever had it may have put it into its place in between: then this is the lock of a file that is whole.
    const [here, held] = [await Deno.lstat(path).catch(() => null), await file.stat()];
    if (here?.isFile && here.ino === held.ino && here.dev === held.dev) {
      return { [Symbol.dispose]: () => file.close() };
    }
    file.close();
  }
}

async function create(path: string): Promise<Deno.FsFile> {
  try {
    const { O_CREAT, O_RDWR, O_NOFOLLOW = 0 } = constants;
    const made = await open(path, O_CREAT | O_RDWR | O_NOFOLLOW, 0o600);
    await made.close();
    return await Deno.open(path, { read: true, write: true });
  } catch (error) {
    throw diskError(error, path);
  }
}
