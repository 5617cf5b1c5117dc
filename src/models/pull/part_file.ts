import { createHash, type Hash } from "node:crypto";
import { ArkError } from "@ark/node/protocol";

/** What is remembered beside a file that has not come whole. */
export interface PartNotes {
  /** Where it comes from. */
  readonly url: string;
  /** Strong entity tag of what comes, or null. */
  readonly etag: string | null;
  /** Bytes of the whole file, or null while nobody said. */
  readonly size: number | null;
  /** SHA-256 that it must have, or null. */
  readonly sha256: string | null;
  /** Bytes that are certain to be on the disk. */
  readonly synced: number;
}

/** Bytes after which what came is made certain, while more come. */
const SYNC_BYTES = 256 << 20;
/** Most bytes that wait for the disk while more come. */
const QUEUE_BYTES = 16 << 20;
const CHUNK_BYTES = 512 << 10;
const NOTES_BYTES = 8 << 10;

/** A file on its way: `NAME.part`, and `NAME.part.json` that says what it is the beginning of. */
export class PartFile implements AsyncDisposable {
  /** Path of the file that has not come whole. */
  readonly path: string;
  readonly #file: Deno.FsFile;
  /** A second handle: operations of one handle wait for each other, and writing need not wait for the disk. */
  readonly #syncer: Deno.FsFile;
  #hash: Hash = createHash("sha256");
  #notes: PartNotes;
  #length: number;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #writing: Promise<void> | null = null;
  #written = 0;
  #syncing: Promise<void> | null = null;
  #noting: Promise<void> = Promise.resolve();
  #failure: unknown = null;

  private constructor(
    path: string,
    { file, syncer, notes }: Record<"file" | "syncer", Deno.FsFile> & { notes: PartNotes },
  ) {
    this.path = path;
    this.#file = file;
    this.#syncer = syncer;
    this.#notes = notes;
    this.#length = 0;
  }

  /**
   * Opens what is there of a file, or begins it. What is there counts where it is the beginning of the same file: of the same
   * digest, or of the same address where no digest is known.
   *
   * @throws {ArkError} `unavailable` where it cannot be opened.
   */
  static async open(
    whole: string,
    { url, size, sha256, signal }: { url: string; size: number | null; sha256: string | null; signal: AbortSignal },
  ): Promise<PartFile> {
    const path = `${whole}.part`;
    for (const each of [path, `${path}.json`]) {
      const info = await Deno.lstat(each).catch(() => null);
      if (info !== null && !info.isFile) throw new ArkError("unavailable", `${each} is no file: remove it`);
    }
    const before = await readNotes(`${path}.json`);
    const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
    const same = before !== null && before.sha256 === sha256 && (sha256 !== null || before.url === url) &&
      (size === null || before.size === null || before.size === size);
    const fresh = { url, etag: null, size, sha256, synced: 0 };
    const syncer = await Deno.open(path, { write: true });
    const part = new PartFile(path, { file, syncer, notes: same ? { ...before, url } : fresh });
    try {
      // A power cut may leave holes in what was not certain to be on the disk; only a digest tells.
      const there = (await file.stat()).size;
      const usable = !same ? 0 : sha256 !== null ? there : Math.min(there, before.synced);
      await file.truncate(usable);
      await part.#rehash(usable, signal);
      return part;
    } catch (error) {
      file.close();
      syncer.close();
      throw error;
    }
  }

  /** Bytes that are here. */
  get length(): number {
    return this.#length;
  }

  /** What it is the beginning of. */
  get notes(): PartNotes {
    return this.#notes;
  }

  /** Notes what comes now. */
  async expect(notes: Pick<PartNotes, "etag" | "size">): Promise<void> {
    this.#notes = { ...this.#notes, ...notes };
    await this.#write();
  }

  /** Forgets what came. */
  async restart(): Promise<void> {
    await this.#syncing;
    await this.#flush();
    await this.#file.truncate(0);
    await this.#file.seek(0, Deno.SeekMode.Start);
    this.#hash = createHash("sha256");
    this.#length = 0;
    this.#written = 0;
    this.#notes = { ...this.#notes, etag: null, synced: 0 };
    await this.#write();
  }

  /** Adds bytes at the end, which are this file's own from then on: they are written while more come. */
  async append(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#length += bytes.length;
    this.#writing ??= this.#drain();
    if (this.#queued > QUEUE_BYTES) await this.#flush();
    if (this.#length - this.#notes.synced < SYNC_BYTES) return;
    if (this.#length - this.#notes.synced >= 2 * SYNC_BYTES) await this.#syncing;
    this.#syncing ??= this.#syncWritten().catch((error) => {
      this.#failure = error;
    }).finally(() => {
      this.#syncing = null;
    });
  }

  /** Makes certain that what came stays. */
  async sync(): Promise<void> {
    await this.#syncing;
    await this.#flush();
    await this.#syncWritten();
  }

  /** SHA-256 of what is here, in hex. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Removes it and what is noted of it. */
  async remove(): Promise<void> {
    for (const path of [this.path, `${this.path}.json`]) await Deno.remove(path).catch(() => {});
  }

  /** Closes it; what came stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#syncing;
    this.#file.close();
    this.#syncer.close();
  }

  /** Waits until the file has everything. Throws what a write failed with. */
  async #flush(): Promise<void> {
    await this.#writing;
    if (this.#failure !== null) throw this.#failure;
  }

  /** Writes what waits until nothing does. Never rejects: a failure is kept for whoever waits. */
  async #drain(): Promise<void> {
    try {
      for (let bytes = this.#queue.shift(); bytes !== undefined; bytes = this.#queue.shift()) {
        for (let done = 0; done < bytes.length;) done += await this.#file.write(bytes.subarray(done));
        this.#queued -= bytes.length;
        this.#written += bytes.length;
      }
    } catch (error) {
      this.#failure = error;
      this.#queue = [];
      this.#queued = 0;
    }
    this.#writing = null;
  }

  async #syncWritten(): Promise<void> {
    const written = this.#written;
    await this.#syncer.sync();
    this.#notes = { ...this.#notes, synced: written };
    await this.#write();
  }

  async #rehash(length: number, signal: AbortSignal): Promise<void> {
    await this.#file.seek(0, Deno.SeekMode.Start);
    const chunk = new Uint8Array(CHUNK_BYTES);
    while (this.#length < length) {
      signal.throwIfAborted();
      const read = await this.#file.read(chunk.subarray(0, Math.min(CHUNK_BYTES, length - this.#length)));
      if (read === null) break;
      this.#hash.update(chunk.subarray(0, read));
      this.#length += read;
    }
    this.#written = this.#length;
  }

  /** Writes the notes, one after the other: what is made certain meanwhile writes them, too. */
  async #write(): Promise<void> {
    const write = async () => {
      const notes = `${this.path}.json`;
      await Deno.writeTextFile(`${notes}.new`, JSON.stringify(this.#notes), { mode: 0o600 });
      await Deno.rename(`${notes}.new`, notes);
    };
    const turn = this.#noting.then(write);
    this.#noting = turn.catch(() => {});
    await turn;
  }
}

async function readNotes(path: string): Promise<PartNotes | null> {
  try {
    if ((await Deno.stat(path)).size > NOTES_BYTES) return null;
    const { url, etag, size, sha256, synced } = Object(JSON.parse(await Deno.readTextFile(path)));
    if (typeof url !== "string" || !Number.isSafeInteger(synced) || synced < 0) return null;
    return {
      url,
      etag: typeof etag === "string" ? etag : null,
      size: Number.isSafeInteger(size) ? size : null,
      sha256: typeof sha256 === "string" ? sha256 : null,
      synced,
    };
  } catch {
    return null;
  }
}
