import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { ArkError } from "@ark/node/protocol";
import { diskError } from "./disk_error.ts";

/**
 * Takes a file that is being fetched for this process and this pull, by the lock of a file `PATH.lock` beside it. The lock is the
 * system's: it ends with the process, however that ends. Some systems let nobody write into what is locked, so it is not the
 * file itself.
 *
 * @throws {ArkError} `busy` where somebody has it, `unavailable` where it cannot be made.
 */
export async function lockPart(path: string): Promise<AsyncDisposable> {
  const at = `${path}.lock`;
  for (;;) {
    const file = await create(at, path);
    const exclusive = true;
    if (!await file.tryLock(exclusive)) {
      file.close();
      throw new ArkError(
        "busy",
        `${path} is being fetched already, by this node or by another program: wait until that is done, or end it`,
        { retryAfterSeconds: 10 },
      );
    }
    // Whoever had it has removed it at the end: then this is the lock of nothing.
    const [here, held] = [await Deno.lstat(at).catch(() => null), await file.stat()];
    if (here?.isFile && here.ino === held.ino && here.dev === held.dev) {
      return {
        async [Symbol.asyncDispose]() {
          await Deno.remove(at).catch(() => {});
          file.close();
        },
      };
    }
    file.close();
  }
}

async function create(at: string, path: string): Promise<Deno.FsFile> {
  try {
    const { O_CREAT, O_RDWR, O_NOFOLLOW = 0 } = constants;
    const made = await open(at, O_CREAT | O_RDWR | O_NOFOLLOW, 0o600);
    await made.close();
    return await Deno.open(at, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw diskError(error, path);
  }
}
