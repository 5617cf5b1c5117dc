import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ArkError, reasonOf } from "@ark/node/protocol";
import { requestFollowing, statusError, strongTag } from "./http_source.ts";
import { PartFile } from "./part_file.ts";
import { shown } from "./safe_name.ts";

/** A file that is to come. */
export interface Wanted {
  /** Where it is. */
  readonly url: URL;
  /** Where it goes, absolute; what has come is beside it with `.part` behind its name. */
  readonly path: string;
  /** Its size in bytes as its list states it, or null. */
  readonly size: number | null;
  /** Its SHA-256 in hex as its list states it, or null. */
  readonly sha256: string | null;
  /** The owner's token, or null where he has none; for the origin of `url` alone. Absent where none belongs there. */
  readonly token?: string | null;
}

/** A file that came whole: still under the name with `.part`, and on the disk for certain. */
export interface Fetched {
  /** Where it lies. */
  readonly part: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 in hex, computed here. */
  readonly sha256: string;
}

/** Times and places that tests change. */
export interface DownloadLimits {
  /** Tries per file. @default {5} */
  tries: number;
  /** Pause before the second try; doubles with each. In milliseconds. @default {500} */
  pauseMs: number;
  /** Longest time without a byte, in milliseconds. @default {60000} */
  idleMs: number;
  /** Bytes that stay free on the disk. @default {268435456} */
  reserveBytes: number;
  /** Bytes that are free where a folder lies. */
  freeBytes(directory: string): Promise<number>;
}

/** The limits of a node. */
export const DOWNLOAD_LIMITS: DownloadLimits = {
  tries: 5,
  pauseMs: 500,
  idleMs: 60_000,
  reserveBytes: 256 << 20,
  async freeBytes(directory) {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
};

/** Options of {@linkcode download}. */
export interface DownloadOptions {
  /** Limits. */
  limits: DownloadLimits;
  /** Ends it; what came stays. */
  signal: AbortSignal;
  /** Told how many bytes are here of how many. */
  progress(completed: number, total: number): void;
}

const LONGEST_PAUSE_MS = 30_000;
const READ_BYTES = 1 << 20;

/**
 * Fetches a file, going on where it was cut, in this run or an earlier one. Nothing is taken that is longer than was said, and
 * nothing that has not the digest that it should have.
 *
 * @throws {ArkError} with a sentence; what came stays where it can be gone on with.
 * @throws the signal's reason when it is aborted.
 */
export async function download(wanted: Wanted, options: DownloadOptions): Promise<Fetched> {
  const { limits, signal } = options;
  const { url, path, size, sha256 } = wanted;
  await using part = await PartFile.open(path, { url: url.href, size, sha256, signal });
  for (let attempt = 1;; attempt++) {
    const resumed = part.length > 0;
    try {
      const digest = await attemptOnce(part, { wanted, options });
      if (digest !== null) return { part: part.path, size: part.length, sha256: digest };
      if (attempt >= limits.tries) throw new Error("it is another file each time");
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof WrongDigest) {
        await part.remove();
        // The beginning may have been of another file than the rest: whole, it may be right.
        if (!resumed) throw new ArkError("unavailable", error.message);
        return await download(wanted, { ...options, limits: { ...limits, tries: limits.tries - attempt } });
      }
      if (error instanceof ArkError || attempt >= limits.tries) throw gaveUp(error, { url, attempt });
    }
    await pause(Math.min(LONGEST_PAUSE_MS, limits.pauseMs * 2 ** (attempt - 1)), undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
  }
}

class WrongDigest extends Error {}

interface Attempt {
  wanted: Wanted;
  options: DownloadOptions;
}

/** One connection. Gives the digest where the file is whole, and null where the next try must begin anew. */
async function attemptOnce(part: PartFile, { wanted, options }: Attempt): Promise<string | null> {
  if (part.notes.size !== null && part.length > part.notes.size) await part.restart();
  if (part.notes.size === null || part.length < part.notes.size || part.length === 0) {
    const idle = new Idle(options.limits.idleMs, options.signal);
    try {
      if (!await receive(part, { wanted, options, idle })) return null;
    } finally {
      idle.end();
    }
  }
  return await verified(part, wanted);
}

async function verified(part: PartFile, { sha256, url }: Wanted): Promise<string> {
  await part.sync();
  const digest = part.digest();
  const expected = sha256 ?? part.notes.sha256;
  if (expected !== null && digest !== expected) {
    throw new WrongDigest(
      `What came from ${url.host} is not the file that it should be (SHA-256 ${digest.slice(0, 12)} instead of ` +
        `${expected.slice(0, 12)}): it was damaged or changed on the way, and is thrown away`,
    );
  }
  return digest;
}

/** Receives the rest of a file; false where what is here cannot be gone on with. */
async function receive(part: PartFile, { wanted, options, idle }: Attempt & { idle: Idle }): Promise<boolean> {
  const { url } = wanted;
  const { etag } = part.notes;
  if (part.length > 0 && etag === null && wanted.sha256 === null) await part.restart();
  const from = part.length;
  const headers: Record<string, string> = from === 0
    ? {}
    : { range: `bytes=${from}-`, ...etag === null ? {} : { "if-range": etag } };
  const { response, linkedSha256 } = await requestFollowing(url, {
    headers,
    token: wanted.token ?? null,
    signal: idle.signal,
  });
  try {
    if (response.status === 416) {
      await part.restart();
      return false;
    }
    const what = shown(url.pathname.split("/").at(-1) ?? "");
    if (response.status !== 200 && response.status !== 206) {
      const { token } = wanted;
      throw statusError(response.status, { what, host: url.host, ...token === undefined ? {} : { token } }) ??
        new Error(`status ${response.status}`);
    }
    if (!/^(?:identity)?$/i.test(response.headers.get("content-encoding") ?? "")) {
      throw new ArkError("unavailable", `${url.host} sends ${what} packed, so that nobody can tell how long it is`);
    }
    const range = response.status === 206 ? rangeOf(response) : null;
    if (response.status === 206 && (range === null || range.start !== from || from === 0)) {
      await part.restart();
      return false;
    }
    const total = totalOf(response, { range, wanted, what });
    if (range !== null && part.notes.size !== null && part.notes.size !== total) {
      await part.restart();
      return false;
    }
    if (range === null && from > 0) await part.restart();
    await part.expect({ etag: strongTag(response.headers), size: total });
    await checkRoom(part, { total, limits: options.limits });
    options.progress(part.length, total);
    for await (const chunk of largeChunks(response)) {
      idle.alive();
      if (part.length + chunk.length > total) {
        await part.restart();
        throw new ArkError("unavailable", `${url.host} sends more of ${what} than it said: nothing of it is kept`);
      }
      await part.append(chunk);
      options.progress(part.length, total);
    }
    if (part.length < total) throw new Error("it broke off");
    if (linkedSha256 !== null) await verified(part, { ...wanted, sha256: linkedSha256 });
    return true;
  } finally {
    await response.body?.cancel().catch(() => {});
  }
}

/** As much as is there at a time: the stream's own chunks of some kilobytes cost more than their hash. */
async function* largeChunks({ body }: Response): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader({ mode: "byob" });
  if (reader === undefined) return;
  try {
    for (let buffer = new ArrayBuffer(READ_BYTES);;) {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (done || value === undefined) return;
      yield value.slice();
      buffer = value.buffer;
    }
  } finally {
    reader.releaseLock();
  }
}

function totalOf(
  response: Response,
  { range, wanted: { url, size }, what }: { range: Range | null; wanted: Wanted; what: string },
): number {
  const stated = range?.total ?? lengthOf(response) ?? size;
  if (stated === null) {
    throw new ArkError("unavailable", `${url.host} does not say how long ${what} is: it is not fetched`);
  }
  if (size !== null && stated !== size) {
    throw new ArkError("unavailable", `${url.host} has ${stated} bytes as ${what}, and its list says ${size}`);
  }
  return stated;
}

interface Range {
  start: number;
  total: number;
}

function rangeOf(response: Response): Range | null {
  const [, start, total] =
    /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/.exec(response.headers.get("content-range") ?? "") ??
      [];
  return start === undefined ? null : { start: Number(start), total: Number(total) };
}

function lengthOf(response: Response): number | null {
  const length = response.headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(length) ? Number(length) : null;
}

async function checkRoom(part: PartFile, { total, limits }: { total: number; limits: DownloadLimits }): Promise<void> {
  const free = await limits.freeBytes(dirname(part.path));
  const needed = total - part.length + limits.reserveBytes;
  if (free >= needed) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new ArkError(
    "unavailable",
    `There is not enough room on the disk: ${gigabytes(total - part.length)} are to come, ` +
      `${gigabytes(limits.reserveBytes)} stay free, and ${gigabytes(free)} are left; remove something first`,
  );
}

function gaveUp(error: unknown, { url, attempt }: { url: URL; attempt: number }): ArkError {
  if (error instanceof ArkError) return error;
  if (isFull(error)) {
    return new ArkError("unavailable", "The disk is full: make room; the next pull goes on from here", {
      cause: error,
    });
  }
  return new ArkError(
    "unavailable",
    `Cannot fetch the file from ${url.host}: it failed ${attempt} times (${
      reasonOf(error).slice(0, 200)
    }); what came is ` +
      "kept, and the next pull goes on from there",
    { cause: error },
  );
}

function isFull(error: unknown): boolean {
  const { code } = Object(error) as { code?: unknown };
  return code === "ENOSPC" || code === "EDQUOT";
}

/** Ends a connection from which nothing came for too long. */
class Idle {
  readonly #ms: number;
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #abort = () => this.#controller.abort(this.#parent.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number, parent: AbortSignal) {
    this.#ms = ms;
    this.#parent = parent;
    if (parent.aborted) this.#abort();
    else parent.addEventListener("abort", this.#abort, { once: true });
    this.alive();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  alive(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new Error("nothing came for too long")), this.#ms);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener("abort", this.#abort);
  }
}
