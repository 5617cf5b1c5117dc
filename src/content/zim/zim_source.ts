import { type FileHandle, open } from "node:fs/promises";

/** Bytes at any place of a file. */
export interface ZimSource {
  /** Bytes of the whole. */
  readonly size: number;
  /** Reads exactly so many bytes. Throws SyntaxError where there are not as many. */
  read(at: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A file of this machine that several may read at once. */
export class ZimFileSource implements ZimSource, AsyncDisposable {
  /** Bytes of the whole. */
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #reads = new Set<Promise<unknown>>();
  #closed = false;

  private constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  /** Opens a file. */
  static async open(path: string): Promise<ZimFileSource> {
    const handle = await open(path, "r");
    try {
      return new ZimFileSource(handle, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Reads exactly so many bytes. */
  async read(at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#closed) throw new Error("The file is closed");
    if (!isSpan(at, length) || at + length > this.size) throw tooShort();
    const read = this.#read(at, length);
    this.#reads.add(read);
    try {
      return await read;
    } finally {
      this.#reads.delete(read);
    }
  }

  /** Closes it when what is being read was read. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#reads);
    await this.#handle.close();
  }

  async #read(at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const { bytesRead } = await this.#handle.read(bytes, done, length - done, at + done);
      if (bytesRead === 0) throw tooShort();
      done += bytesRead;
    }
    return bytes;
  }
}

/** Bytes in memory. */
export class ZimBytes implements ZimSource {
  /** Bytes of the whole. */
  readonly size: number;
  readonly #bytes: Uint8Array;

  /** Reads from these bytes. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  /** Reads exactly so many bytes. */
  read(at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!isSpan(at, length) || at + length > this.size) return Promise.reject(tooShort());
    return Promise.resolve(this.#bytes.slice(at, at + length));
  }
}

function isSpan(at: number, length: number): boolean {
  return Number.isSafeInteger(at) && Number.isSafeInteger(length) && at >= 0 && length >= 0;
}

function tooShort(): SyntaxError {
  return new SyntaxError("The file is shorter than it says: it was cut or damaged; fetch it again");
}
