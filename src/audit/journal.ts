import { dirname } from "node:path";
import { ArkError, reasonOf } from "@ark/node/protocol";

/**
 * A commit that took longer makes the next one asynchronous. Below it, waiting for the disk costs the streams of other
 * requests less than the way to a thread and back costs this one.
 */
const SLOW_MS = 1;

/** After one that took longer than so many times that, even handing the bytes to the system is left to a thread. */
const STUCK = 20;

/** Options of {@linkcode Journal.open}. */
export interface JournalOptions {
  /** Above how many milliseconds of the last commit the next one leaves the event loop free; 0 is always. */
  slowMs?: number;
}

/**
 * The file `audit.log` as a write-ahead: bytes are appended and made durable, or the file is as long as before.
 *
 * Whatever else is written to the file meanwhile stands behind {@linkcode size}, and the next commit overwrites it.
 */
export class Journal implements Disposable {
  /** Where the file is. */
  readonly path: string;
  #file: Deno.FsFile;
  readonly #slowMs: number;
  #size: number;
  #lastMs = 0;
  /** Whether the file may be longer than `#size`, or its position elsewhere. */
  #torn = true;

  private constructor(path: string, options: { file: Deno.FsFile; size: number; slowMs: number }) {
    this.path = path;
    this.#file = options.file;
    this.#size = options.size;
    this.#slowMs = options.slowMs;
  }

  /**
   * Opens the file, or makes it with mode 0600, and locks it against a second node.
   *
   * @throws {ArkError} `audit_unavailable`
   */
  static async open(path: string, { slowMs = SLOW_MS }: JournalOptions = {}): Promise<Journal> {
    try {
      const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
      try {
        await secure(file, path);
        const { size } = await file.stat();
        return new Journal(path, { file, size, slowMs });
      } catch (error) {
        file.close();
        throw error;
      }
    } catch (error) {
      throw error instanceof ArkError ? error : unwritable(path, error);
    }
  }

  /** Bytes of the file that are durable. */
  get size(): number {
    return this.#size;
  }

  /**
   * Appends bytes. On return, or when the returned promise resolves, they are durable; where it throws or rejects, the
   * file is as long as before (or will be, before anything else is written). One commit at a time.
   *
   * @returns Nothing where it is done already, which is the case as long as the disk is fast.
   * @throws {ArkError} `audit_unavailable`
   */
  commit(bytes: Uint8Array): Promise<void> | undefined {
    const began = performance.now();
    const slow = this.#lastMs > this.#slowMs || this.#slowMs === 0;
    if (slow && this.#lastMs > STUCK * this.#slowMs) return this.#commitLater(bytes, began);
    try {
      this.#mend();
      this.#torn = true;
      for (let written = 0; written < bytes.length;) written += this.#file.writeSync(bytes.subarray(written));
      if (slow) return this.#syncLater(bytes.length, began);
      this.#file.syncDataSync();
    } catch (error) {
      throw this.#failed(error);
    }
    this.#committed(bytes.length, began);
    return undefined;
  }

  /** Cuts the file to `size` bytes, at most its present size. */
  truncate(size: number): void {
    this.#size = size;
    this.#torn = true;
    this.#mend();
  }

  /**
   * Lets go of everything before an offset: the rest is written to a new file that takes the place of this one, so that a
   * crash leaves the one or the other. One commit at a time: none may run.
   *
   * @throws {ArkError} `audit_unavailable`: the file is as it was.
   */
  async dropBefore(offset: number): Promise<void> {
    const beside = `${this.path}.new`;
    try {
      this.#mend();
      const file = await Deno.open(beside, { read: true, write: true, create: true, truncate: true, mode: 0o600 });
      try {
        await secure(file, beside);
        await copy(this.#file, { from: offset, to: this.#size, into: file });
        await file.sync();
        await Deno.rename(beside, this.path);
        await secureDirectory(this.path);
      } catch (error) {
        file.close();
        throw error;
      }
      this.#file.close();
      this.#file = file;
      this.#size -= offset;
      this.#torn = true;
    } catch (error) {
      this.#torn = true;
      throw unwritable(this.path, error);
    }
  }

  /** Closes the file and gives its lock back. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  async #commitLater(bytes: Uint8Array, began: number): Promise<void> {
    try {
      this.#mend();
      this.#torn = true;
      for (let written = 0; written < bytes.length;) written += await this.#file.write(bytes.subarray(written));
    } catch (error) {
      throw this.#failed(error);
    }
    await this.#syncLater(bytes.length, began);
  }

  async #syncLater(length: number, began: number): Promise<void> {
    try {
      await this.#file.syncData();
    } catch (error) {
      throw this.#failed(error);
    }
    this.#committed(length, began);
  }

  #committed(length: number, began: number): void {
    this.#size += length;
    this.#torn = false;
    this.#lastMs = performance.now() - began;
  }

  /** After an error the kernel may have dropped dirty pages, so the bytes are cut off and written anew next time. */
  #failed(error: unknown): ArkError {
    try {
      this.#mend();
    } catch {
      // The disk is in trouble; the next commit mends first and fails where that still does not go.
    }
    return unwritable(this.path, error);
  }

  #mend(): void {
    if (!this.#torn) return;
    this.#file.truncateSync(this.#size);
    this.#file.seekSync(this.#size, Deno.SeekMode.Start);
    this.#torn = false;
  }
}

async function secure(file: Deno.FsFile, path: string): Promise<void> {
  // On Windows a lock would also keep people from reading the file, and modes are not a thing.
  if (Deno.build.os === "windows") return;
  const exclusive = true;
  if (!await file.tryLock(exclusive)) {
    throw new ArkError("audit_unavailable", `Cannot open the audit log ${path}: another ark-node is writing it`);
  }
  await Deno.chmod(path, 0o600);
  await secureDirectory(path);
}

/** A new file is durable only once its directory is. */
async function secureDirectory(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  const directory = await Deno.open(dirname(path));
  try {
    await directory.sync();
  } finally {
    directory.close();
  }
}

async function copy(
  source: Deno.FsFile,
  { from, to, into }: { from: number; to: number; into: Deno.FsFile },
): Promise<void> {
  const chunk = new Uint8Array(1 << 20);
  await source.seek(from, Deno.SeekMode.Start);
  for (let left = to - from; left > 0;) {
    const read = await source.read(chunk.subarray(0, Math.min(chunk.length, left)));
    if (read === null) throw new Error("the file is shorter than it was");
    for (let written = 0; written < read;) written += await into.write(chunk.subarray(written, read));
    left -= read;
  }
}

/** Whether an error of a commit says that the disk is full. */
export function isDiskFull(error: unknown): boolean {
  const cause = error instanceof ArkError ? error.cause : error;
  return (cause as { code?: unknown } | null)?.code === "ENOSPC";
}

function unwritable(path: string, cause: unknown): ArkError {
  const why = isDiskFull(cause) ? "the disk is full; free some space" : `${reasonOf(cause)}; look after the disk`;
  const message = `Cannot write the audit log ${path}: ${why}, the node goes on by itself then`;
  return new ArkError("audit_unavailable", message, { cause, retryAfterSeconds: 5 });
}
