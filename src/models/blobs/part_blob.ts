import { constants } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import {
  ArkError,
  Bitfield,
  CHUNK_BYTES,
  chunkCount,
  chunkHash,
  chunkLength,
  type ChunkList,
  isBlobId,
} from "@ark/node/protocol";
import { syncFolder } from "@ark/node/store";
import { fileDigest } from "../file_digest.ts";
import type { BlobHere } from "./blob_here.ts";
import { checkChunks, isChunk, ownBytes, readChunk } from "./chunk_io.ts";
import { ChunkThreads, ThreadsEnded } from "./chunk_threads.ts";
import { diskError } from "./disk_error.ts";
import { PartJournal, writeAll } from "./part_journal.ts";
import { lockPart } from "./part_lock.ts";
import { WholeHash } from "./whole_hash.ts";

/** Options of {@linkcode PartBlob.open}. */
export interface PartBlobOptions {
  /** SHA-256 in hex that the whole file must have. */
  sha256: string;
  /** Its size in bytes. */
  size: number;
  /** Hashes of its chunks. Where they are not those of the file, {@linkcode PartBlob.finish} finds out. */
  list: ChunkList;
  /** Ends the opening early. */
  signal: AbortSignal;
}

/** Bytes after which what came is made certain. */
const SYNC_BYTES = 256 << 20;
/** Time after which what came is made certain, in milliseconds. */
const SYNC_MS = 5_000;
/** A file that is smaller has no threads: they would take longer to start. */
const THREAD_BYTES = 64 << 20;
/**
 * One file that is being fetched, in chunks of any order and by many at once. A chunk is checked before anything of it is
 * written; what was checked and written is never fetched again, whether the process is killed or the power fails: after a
 * crash only the chunks that were written since the last fsync are hashed again.
 *
 * Beside the file `PATH` lies `PATH.have`, which says what is there. Only one process, and only once, has it open at a time.
 */
export class PartBlob implements BlobHere, AsyncDisposable {
  /** Where it is until it is whole. */
  readonly path: string;
  /** SHA-256 in hex that it must have when it is whole. */
  readonly sha256: string;
  /** Bytes that it will have. */
  readonly size: number;
  /** Chunks that were checked and written. Only this object changes it. */
  readonly have: Bitfield;
  readonly #list: ChunkList;
  readonly #file: FileHandle;
  readonly #lock: AsyncDisposable;
  #journal: PartJournal | null = null;
  #hash: WholeHash | null = null;
  #threads: ChunkThreads | null = null;
  /** Chunks at the front without a gap. */
  #front = 0;
  #version = 0;
  #rechecked = 0;
  /** Chunks that are certain to be on the disk. */
  #certain: Bitfield;
  /** Chunks that are written, and not certain. */
  #uncertain = new Set<number>();
  readonly #writing = new Map<number, Promise<boolean>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #syncing: Promise<void> | null = null;
  #failure: ArkError | null = null;
  #state: "open" | "finished" | "closed" = "open";

  private constructor(
    path: string,
    { sha256, size, list, file, lock }: Omit<PartBlobOptions, "signal"> & { file: FileHandle; lock: AsyncDisposable },
  ) {
    this.path = path;
    this.sha256 = sha256;
    this.size = size;
    this.#list = list;
    this.#file = file;
    this.#lock = lock;
    this.have = new Bitfield(chunkCount(size));
    this.#certain = new Bitfield(chunkCount(size));
  }

  /**
   * Opens what is there of a file, or begins it. Its folder must exist.
   *
   * @throws {ArkError} `busy` where it is being fetched already, `unavailable` where it cannot be opened or written.
   * @throws the signal's reason when it is aborted.
   */
  static async open(path: string, { sha256, size, list, signal }: PartBlobOptions): Promise<PartBlob> {
    if (!isBlobId(sha256)) throw new TypeError("A blob is named by 64 hexadecimal digits");
    if (list.size !== size) throw new ArkError("bad_request", "The list of chunks is that of a file of another size");
    signal.throwIfAborted();
    let part: PartBlob | undefined;
    const lock = await lockPart(path);
    try {
      const file = await open(path, constants.O_CREAT | constants.O_RDWR | (constants.O_NOFOLLOW ?? 0), 0o600);
      part = new PartBlob(path, { sha256, size, list, file, lock });
      await part.#resume(signal);
      return part;
    } catch (error) {
      if (part === undefined) await lock[Symbol.asyncDispose]();
      else await part.#close();
      signal.throwIfAborted();
      throw diskError(error, path);
    }
  }

  /** Whether all chunks are there. */
  get complete(): boolean {
    return this.have.full;
  }

  /** Grows with each chunk. */
  get version(): number {
    return this.#version;
  }

  /** How many chunks were hashed once more when it was opened. */
  get rechecked(): number {
    return this.#rechecked;
  }

  /** Bytes that were checked and written. */
  get bytes(): number {
    const last = this.have.length - 1;
    const missing = this.have.get(last) ? CHUNK_BYTES - chunkLength(this.size, last) : 0;
    return this.have.count * CHUNK_BYTES - missing;
  }

  /** Hashes of its chunks, as they were given. */
  chunks(): Promise<ChunkList> {
    return Promise.resolve(this.#list);
  }

  /**
   * A chunk that is there.
   *
   * @throws {ArkError} `model_not_found` where it is not.
   */
  async read(index: number, into?: Uint8Array): Promise<Uint8Array> {
    if (!this.have.get(index) || this.#state !== "open") {
      throw new ArkError("model_not_found", "This part of the file is not here yet");
    }
    return await readChunk(this.#file, { index, size: this.size, into });
  }

  /**
   * Checks a chunk and writes it to its place. The bytes are the caller's again when it resolves, and must not change before;
   * where they are the beginning of a `SharedArrayBuffer`, they are not copied.
   * False, with nothing written, where they are not the chunk's.
   *
   * @throws {ArkError} `unavailable` where the disk is full or cannot be written.
   */
  async write(index: number, bytes: Uint8Array): Promise<boolean> {
    if (this.#state !== "open") throw new ArkError("cancelled", "The file is not being fetched any more");
    if (this.#failure !== null) throw this.#failure;
    if (index < 0 || index >= this.have.length || bytes.length !== chunkLength(this.size, index)) return false;
    // In the endgame two lanes bring the same chunk: it is written once, and each is told whether its bytes were right.
    for (let twin = this.#writing.get(index); twin !== undefined; twin = this.#writing.get(index)) {
      await twin.catch(() => {});
    }
    if (this.have.get(index)) return await isChunk(this.#list, { index, bytes: ownBytes(bytes) });
    if (this.#state !== "open") throw new ArkError("cancelled", "The file is not being fetched any more");
    const work = this.#put(index, bytes).finally(() => this.#writing.delete(index));
    this.#writing.set(index, work);
    return await work;
  }

  /**
   * Makes certain that what came stays.
   *
   * @throws {ArkError} `unavailable` where the disk is full or cannot be written.
   */
  async sync(): Promise<void> {
    await this.#syncing;
    if (this.#failure !== null) throw this.#failure;
    this.#startSync();
    await this.#syncing;
    if (this.#failure !== null) throw this.#failure;
  }

  /**
   * Puts the whole file into its place, in the same file system. Its SHA-256 is that of its id, or nothing is put anywhere.
   *
   * Where it is not, all chunks are hashed once more. Those that the disk damaged are missing in `have` afterwards and can be
   * fetched again; where `have` is still full, the list of chunks is not that of this file, and only another list helps.
   *
   * @throws {ArkError} `unavailable`
   */
  async finish(into: string): Promise<void> {
    if (this.#state !== "open" || !this.have.full) throw new TypeError("The file is not whole");
    await this.sync();
    const digest = await this.#hash?.digest() ?? await fileDigest(this.path);
    if (digest !== this.sha256) throw await this.#explain();
    try {
      await rename(this.path, into);
      this.#state = "finished";
      await syncFolder(dirname(into));
      await Deno.remove(`${this.path}.have`).catch(() => {});
    } catch (error) {
      throw diskError(error, into);
    }
  }

  /** Closes it and removes what came. */
  async discard(): Promise<void> {
    const finished = this.#state === "finished";
    await this.#settled();
    this.#state = "closed";
    // Under the lock, so that nobody else's beginning is removed.
    if (!finished) { for (const path of partFiles(this.path)) await Deno.remove(path).catch(() => {}); }
    await this.#close();
  }

  /** Closes it; what came stays, for certain. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closed";
    await this.#settled();
    if (wasOpen && this.#failure === null) {
      this.#startSync();
      await this.#syncing;
    }
    await this.#close();
  }

  async #settled(): Promise<void> {
    await Promise.allSettled([...this.#writing.values()]);
    await this.#syncing;
  }

  async #close(): Promise<void> {
    this.#state = "closed";
    clearTimeout(this.#timer);
    await this.#syncing;
    this.#hash?.[Symbol.dispose]();
    this.#threads?.[Symbol.dispose]();
    await this.#journal?.[Symbol.asyncDispose]();
    await this.#file.close();
    await this.#lock[Symbol.asyncDispose]();
  }

  /** Checks a chunk, and writes it where it is right. */
  async #checkAndWrite(index: number, bytes: Uint8Array): Promise<boolean> {
    const at = index * CHUNK_BYTES;
    if (this.#threads?.working) {
      try {
        return await this.#threads.put(bytes, { hash: chunkHash(this.#list, index), at });
      } catch (error) {
        // Without threads it goes slower; a chunk that is written twice is the same twice.
        if (!(error instanceof ThreadsEnded)) throw error;
      }
    }
    const own = ownBytes(bytes);
    if (!await isChunk(this.#list, { index, bytes: own })) return false;
    await writeAll(this.#file, own, at);
    return true;
  }

  async #put(index: number, bytes: Uint8Array): Promise<boolean> {
    try {
      if (!await this.#checkAndWrite(index, bytes)) return false;
      this.#uncertain.add(index);
      await this.#journal?.add(index);
    } catch (error) {
      this.#uncertain.delete(index);
      throw diskError(error, this.path);
    }
    this.#take(index);
    if (this.#uncertain.size * CHUNK_BYTES >= SYNC_BYTES) this.#startSync();
    else this.#timer ??= setTimeout(() => this.#startSync(), SYNC_MS);
    return true;
  }

  #take(index: number): void {
    this.have.set(index);
    this.#version++;
    const before = this.#front;
    while (this.have.get(this.#front)) this.#front++;
    if (this.#front > before) this.#hash?.advance(Math.min(this.size, this.#front * CHUNK_BYTES));
  }

  #startSync(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#syncing !== null || this.#uncertain.size === 0 || this.#failure !== null) return;
    this.#syncing = this.#sync().catch((error) => {
      this.#failure = diskError(error, this.path);
    }).finally(() => this.#syncing = null);
  }

  /** Data first, then the note that they are there: never the other way round. */
  async #sync(): Promise<void> {
    const certain = this.#certain.copy();
    const covered = [...this.#uncertain].filter((index) => this.have.get(index));
    for (const index of covered) certain.set(index);
    await this.#file.datasync();
    for (const index of covered) this.#uncertain.delete(index);
    await this.#journal?.replace(certain, this.#uncertain);
    this.#certain = certain;
  }

  async #resume(signal: AbortSignal): Promise<void> {
    const identity = { sha256: this.sha256, list: this.#list };
    const { size: there } = await this.#file.stat();
    const state = there === 0 ? null : await PartJournal.read(`${this.path}.have`, identity);
    // What was cut off may be any of it.
    const known = state !== null && there === this.size;
    const certain = known ? state.certain : new Bitfield(this.have.length);
    const doubtful = known
      ? [...state.written].filter((index) => !certain.get(index))
      : Array.from({ length: Math.min(this.have.length, chunkCount(there)) }, (_, index) => index);
    this.#rechecked = doubtful.length;
    if (there !== this.size) await this.#file.truncate(this.size);
    for (let index = 0; index < this.have.length; index++) if (certain.get(index)) this.have.set(index);
    await checkChunks(this.#file, {
      list: this.#list,
      indexes: doubtful,
      signal,
      found: (index) => this.have.set(index),
    });
    if (doubtful.length > 0) await this.#file.datasync();
    this.#certain = this.have.copy();
    this.#journal = await PartJournal.create(`${this.path}.have`, { identity, certain: this.#certain });
    this.#version = this.have.count;
    if (this.size >= THREAD_BYTES) {
      this.#hash = new WholeHash(this.path, this.size);
      if (!this.have.full) this.#threads = new ChunkThreads(this.path);
    }
    while (this.have.get(this.#front)) this.#front++;
    if (this.#front > 0) this.#hash?.advance(Math.min(this.size, this.#front * CHUNK_BYTES));
  }

  async #explain(): Promise<ArkError> {
    const right = new Set<number>();
    const indexes = Array.from({ length: this.have.length }, (_, index) => index);
    await checkChunks(this.#file, { list: this.#list, indexes, found: (index) => right.add(index) });
    const damaged = this.have.length - right.size;
    // A thread that read what the disk had damaged will never be right.
    this.#hash?.[Symbol.dispose]();
    this.#hash = null;
    if (damaged === 0) {
      return new ArkError(
        "unavailable",
        `What came is not the file sha256-${
          this.sha256.slice(0, 12)
        }…: whoever told the digests of its pieces told wrong ` +
          "ones; nothing was installed",
      );
    }
    for (let index = 0; index < this.have.length; index++) {
      if (right.has(index)) continue;
      this.have.clear(index);
      this.#certain.clear(index);
    }
    this.#front = 0;
    while (this.have.get(this.#front)) this.#front++;
    await this.#journal?.replace(this.#certain, this.#uncertain);
    return new ArkError(
      "unavailable",
      `${damaged} pieces of ${this.path} changed on the disk after they were checked: they must be fetched again, and the disk ` +
        "may be failing",
    );
  }
}

/** All files of a part at a path. */
export function partFiles(path: string): string[] {
  return [path, `${path}.have`, `${path}.have.new`];
}
