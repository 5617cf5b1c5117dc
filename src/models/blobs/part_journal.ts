import { constants } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { type Bitfield, chunkCount } from "@ark/node/protocol";
import { syncFolder } from "@ark/node/store";
import {
  decodeState,
  encodeEntry,
  encodeState,
  ENTRY_BYTES,
  type PartIdentity,
  type PartState,
  stateBytes,
} from "./part_state.ts";

/** A file of states, and how much of it is written. */
interface Page {
  readonly file: FileHandle;
  end: number;
}

/**
 * The note beside a file that has not come whole: which chunks are certain, and behind that a journal of those that came since.
 * It is replaced as a whole when the file's data are certain, so that a crash leaves the old note or the new one.
 */
export class PartJournal implements AsyncDisposable {
  readonly #path: string;
  readonly #identity: PartIdentity;
  #pages: Page[];
  readonly #pending = new Set<Promise<void>>();

  private constructor(path: string, { identity, page }: { identity: PartIdentity; page: Page }) {
    this.#path = path;
    this.#identity = identity;
    this.#pages = [page];
  }

  /** Begins a new note in the place of any that is there. */
  static async create(
    path: string,
    { identity, certain }: { identity: PartIdentity; certain: Bitfield },
  ): Promise<PartJournal> {
    return new PartJournal(path, { identity, page: await turnPage(path, encodeState(identity, certain)) });
  }

  /** Reads a note; null where there is none, or none of this file. */
  static async read(path: string, identity: PartIdentity): Promise<PartState | null> {
    try {
      const { size, isFile } = await Deno.lstat(path);
      // An entry for each chunk, and as many again where two lanes fetched the same.
      if (!isFile || size > stateBytes(identity.list.size) + 16 * ENTRY_BYTES * chunkCount(identity.list.size)) {
        return null;
      }
      return decodeState(await Deno.readFile(path), identity);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  /** Notes a chunk that is in the file. It outlives the process when this resolves, and a power cut after {@linkcode replace}. */
  async add(index: number): Promise<void> {
    const entry = encodeEntry(index);
    await Promise.all(this.#pages.map((page) => {
      const at = page.end;
      page.end += ENTRY_BYTES;
      const work = writeAll(page.file, entry, at);
      const settled = work.catch(() => {}).finally(() => this.#pending.delete(settled));
      this.#pending.add(settled);
      return work;
    }));
  }

  /** Puts a note in the place of the old one: chunks that are certain by now, and those that came since. One call at a time. */
  async replace(certain: Bitfield, since: ReadonlySet<number>): Promise<void> {
    const [old] = this.#pages;
    const fresh = `${this.#path}.new`;
    const page = await openPage(fresh, encodeState(this.#identity, certain));
    try {
      // From here on entries go into both, so that neither a crash before the rename nor one after it loses any.
      this.#pages.push(page);
      for (const index of [...since]) {
        const at = page.end;
        page.end += ENTRY_BYTES;
        await writeAll(page.file, encodeEntry(index), at);
      }
      await page.file.sync();
      await rename(fresh, this.#path);
      await syncFolder(dirname(this.#path));
    } catch (error) {
      this.#pages = this.#pages.filter((one) => one !== page);
      await this.#settled();
      await page.file.close();
      throw error;
    }
    this.#pages = [page];
    await this.#settled();
    await old?.file.close();
  }

  /** Closes it; the note stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#settled();
    for (const { file } of this.#pages.splice(0)) await file.close();
  }

  async #settled(): Promise<void> {
    await Promise.all([...this.#pending]);
  }
}

/** Writes all of it at a place of a file. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

async function openPage(path: string, state: Uint8Array): Promise<Page> {
  const { O_CREAT, O_RDWR, O_TRUNC, O_NOFOLLOW = 0 } = constants;
  const file = await open(path, O_CREAT | O_RDWR | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    await writeAll(file, state, 0);
  } catch (error) {
    await file.close();
    throw error;
  }
  return { file, end: state.length };
}

async function turnPage(path: string, state: Uint8Array): Promise<Page> {
  const page = await openPage(`${path}.new`, state);
  try {
    await page.file.sync();
    await rename(`${path}.new`, path);
    await syncFolder(dirname(path));
    return page;
  } catch (error) {
    await page.file.close();
    throw error;
  }
}
