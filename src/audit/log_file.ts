import { dirname } from "node:path";
import { ArkError, reasonOf } from "@ark/node/protocol";

/** The file `audit.log` as an open one: lines are put behind its end, and cut off again where they do not count. */
export class LogFile implements Disposable {
  /** Where the file is. */
  readonly path: string;
  #file: Deno.FsFile;
  #size: number;
  /** Whether the file may be longer than `#size`, or its position elsewhere. */
  #torn = true;

  private constructor(path: string, { file, size }: { file: Deno.FsFile; size: number }) {
    this.path = path;
    this.#file = file;
    this.#size = size;
  }

  /**
   * Opens the file, or makes it with mode 0600, and locks it against a second node.
   *
   * @throws {ArkError} `audit_unavailable`
   */
  static async open(path: string): Promise<LogFile> {
    try {
      const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
      try {
        await secure(file, path);
        const { size } = await file.stat();
        return new LogFile(path, { file, size });
      } catch (error) {
        file.close();
        throw error;
      }
    } catch (error) {
      throw error instanceof ArkError ? error : unwritable(path, error);
    }
  }

  /** Bytes of the file that count. */
  get size(): number {
    return this.#size;
  }

  /** Writes bytes behind the end. They do not count before {@linkcode grown}, and must be cut off where they never do. */
  write(bytes: Uint8Array): void {
    this.mend();
    this.#torn = true;
    for (let written = 0; written < bytes.length;) written += this.#file.writeSync(bytes.subarray(written));
  }

  /** The same in a thread. */
  async writeLater(bytes: Uint8Array): Promise<void> {
    this.mend();
    this.#torn = true;
    for (let written = 0; written < bytes.length;) written += await this.#file.write(bytes.subarray(written));
  }

  /** Makes durable what was written. */
  syncNow(): void {
    this.#file.syncDataSync();
  }

  /** The same in a thread. */
  async sync(): Promise<void> {
    await this.#file.syncData();
  }

  /** So many bytes that were written count now. */
  grown(bytes: number): void {
    this.#size += bytes;
    this.#torn = false;
  }

  /** Cuts the file to `size` bytes, at most its present size. */
  truncate(size: number): void {
    this.#size = size;
    this.#torn = true;
    this.mend();
  }

  /** Cuts off what does not count. */
  mend(): void {
    if (!this.#torn) return;
    this.#file.truncateSync(this.#size);
    this.#file.seekSync(this.#size, Deno.SeekMode.Start);
    this.#torn = false;
  }

  /** Writes what counts from an offset on once more. */
  rewrite(offset: number, chunks: Iterable<Uint8Array>): void {
    this.mend();
    this.#torn = true;
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    let at = offset;
    for (const chunk of chunks) {
      for (let written = 0; written < chunk.length;) written += this.#file.writeSync(chunk.subarray(written));
      at += chunk.length;
    }
    if (at !== this.#size) throw new Error("its journal does not hold what it lacks");
    this.mend();
  }

  /**
   * Lets go of everything before an offset: the rest is written to a new file that takes the place of this one, so that a
   * crash leaves the one or the other, and is durable then. Nothing may be written meanwhile.
   *
   * @throws {ArkError} `audit_unavailable`: the file is as it was.
   */
  async dropBefore(offset: number): Promise<void> {
    const beside = `${this.path}.new`;
    try {
      this.mend();
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
export async function secureDirectory(path: string): Promise<void> {
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

/** What a call gets where the file cannot be written. */
export function unwritable(path: string, cause: unknown): ArkError {
  const why = isDiskFull(cause) ? "the disk is full; free some space" : `${reasonOf(cause)}; look after the disk`;
  const message = `Cannot write the audit log ${path}: ${why}, the node goes on by itself then`;
  return new ArkError("audit_unavailable", message, { cause, retryAfterSeconds: 5 });
}
