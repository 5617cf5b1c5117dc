import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { ArkError } from "@ark/node/protocol";
import type { FileStamp } from "../digest_cache.ts";
import { readChunk } from "./chunk_io.ts";

/** An open file. */
interface Handle {
  readonly file: Promise<FileHandle>;
  readonly stamp: FileStamp;
  users: number;
  /** Set where nobody new may use it. */
  stale: boolean;
}

/** Most files that are open though nobody reads them. */
const MOST_IDLE = 16;

/**
 * Files of models that are read in chunks, by many at once. Few stay open. A file is read only as long as it is the very one
 * whose digest is known: of the same path without links, the same size and the same time of change.
 */
export class FileHandles implements AsyncDisposable {
  /** The one used last stands last. */
  readonly #handles = new Map<string, Handle>();
  readonly #closing = new Set<Promise<void>>();

  /**
   * Reads a chunk.
   *
   * @throws {ArkError} `model_not_found` where the file is not what it was.
   */
  async read(stamp: FileStamp, index: number, into?: Uint8Array): Promise<Uint8Array> {
    const handle = this.#take(stamp);
    try {
      const file = await handle.file;
      const bytes = await readChunk(file, { index, size: stamp.size, into });
      // What is written while it is read shows in the file's time of change.
      await checkStamp(file, stamp);
      return bytes;
    } catch (error) {
      handle.stale = true;
      if (error instanceof ArkError || error instanceof RangeError) throw error;
      throw new ArkError("model_not_found", "The file is not here any more, or cannot be read", { cause: error });
    } finally {
      handle.users--;
      this.#tidy();
    }
  }

  /** Closes the files of which `wanted` says that they are not read any more. */
  keep(wanted: (path: string) => boolean): void {
    for (const [path, handle] of this.#handles) if (!wanted(path)) handle.stale = true;
    this.#tidy();
  }

  /** Closes all that nobody reads, and the others when they are read. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.keep(() => false);
    await Promise.all(this.#closing);
  }

  #take(stamp: FileStamp): Handle {
    const { path, size, mtimeMs } = stamp;
    const known = this.#handles.get(path);
    const fits = known !== undefined && !known.stale && known.stamp.size === size && known.stamp.mtimeMs === mtimeMs;
    if (known !== undefined) this.#handles.delete(path);
    if (known !== undefined && !fits) this.#retire(known);
    const handle: Handle = fits ? known : { file: openExactly(stamp), stamp, users: 0, stale: false };
    handle.users++;
    this.#handles.set(path, handle);
    return handle;
  }

  #tidy(): void {
    let idle = this.#handles.values().filter(({ users }) => users === 0).reduce((count) => count + 1, 0);
    for (const [path, handle] of this.#handles) {
      if (handle.users > 0 || (!handle.stale && idle <= MOST_IDLE)) continue;
      this.#handles.delete(path);
      this.#retire(handle);
      idle--;
    }
    for (const handle of this.#retired) if (handle.users === 0) this.#close(handle);
  }

  readonly #retired = new Set<Handle>();

  #retire(handle: Handle): void {
    handle.stale = true;
    if (handle.users === 0) this.#close(handle);
    else this.#retired.add(handle);
  }

  #close(handle: Handle): void {
    this.#retired.delete(handle);
    const closing = handle.file.then((file) => file.close()).catch(() => {}).finally(() =>
      this.#closing.delete(closing)
    );
    this.#closing.add(closing);
  }
}

/** Opens a file without following a link, and only where it is what it was. */
async function openExactly(stamp: FileStamp): Promise<FileHandle> {
  const file = await open(stamp.path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    // A folder on the way that has become a link would lead elsewhere, too.
    if (await Deno.realPath(stamp.path) !== stamp.path) throw changed();
    await checkStamp(file, stamp);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function checkStamp(file: FileHandle, { size, mtimeMs }: FileStamp): Promise<void> {
  const info = await file.stat();
  if (!info.isFile() || info.size !== size || Math.trunc(info.mtimeMs) !== mtimeMs) throw changed();
}

function changed(): ArkError {
  return new ArkError("model_not_found", "The file is not what it was when its digest was computed");
}
