import { statfs } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { reasonOf } from "@ark/node/protocol";
import { type Logger, nextBeat } from "@ark/node/telemetry";

/** Options of {@linkcode Reserve}. */
export interface ReserveOptions {
  /** The file. */
  path: string;
  /** Its size; 0 for none. */
  bytes: number;
  /** Says when it is spent and when it is back. */
  logger: Logger | undefined;
}

/** The reserve is taken only from a disk with so many times its size free. */
const ROOM = 4;

/** Time between two attempts to take it again, in milliseconds. */
const RETRY_MS = 1_000;

const CHUNK_BYTES = 1 << 20;

/**
 * Room on the disk that is held by a file of zeros, so that on a full disk what has begun can be recorded to its end.
 *
 * | state | meaning |
 * |---|---|
 * | none | not asked for, or the disk has too little room for it |
 * | held | it can be given up once |
 * | spent | it was given up: nothing new is begun until there is room for it again |
 */
export class Reserve {
  readonly #options: ReserveOptions;
  #state: "none" | "held" | "spent" = "none";
  #taking: Promise<void> | null = null;
  #tried = -Infinity;

  constructor(options: ReserveOptions) {
    this.#options = options;
  }

  /** Whether it was given up and is not back yet. */
  get spent(): boolean {
    return this.#state === "spent";
  }

  /** Gives the room back to the disk; false where there is none to give. */
  release(): boolean {
    if (this.#state !== "held") return false;
    const { path, bytes, logger } = this.#options;
    try {
      Deno.truncateSync(path, 0);
    } catch {
      return false;
    }
    this.#state = "spent";
    logger?.error("The disk is full: its reserve is used to record the end of what runs", { path, bytes });
    return true;
  }

  /** Takes the room, where it is asked for and the disk has it; at most once a second, and never rejects. */
  take(): Promise<void> {
    if (this.#taking !== null) return this.#taking;
    if (this.#options.bytes === 0 || this.#state === "held" || performance.now() - this.#tried < RETRY_MS) {
      return Promise.resolve();
    }
    return this.#taking = this.#take().finally(() => {
      this.#tried = performance.now();
      this.#taking = null;
    });
  }

  /** Keeps it taken until the signal fires, from a while after the start on. */
  async run(signal: AbortSignal, { afterMs = 10_000 }: { afterMs?: number } = {}): Promise<void> {
    await pause(afterMs, undefined, { signal }).catch(() => {});
    while (!signal.aborted) {
      await this.take();
      await nextBeat(2 * RETRY_MS, { signal });
    }
  }

  /** Waits until nothing is being written. */
  async settled(): Promise<void> {
    await this.#taking;
  }

  async #take(): Promise<void> {
    const { path, bytes, logger } = this.#options;
    try {
      if (!await this.#fits()) return;
      using file = await Deno.open(path, { write: true, create: true, mode: 0o600 });
      const zeros = new Uint8Array(Math.min(CHUNK_BYTES, bytes));
      for (let written = (await file.stat()).size; written < bytes;) {
        await file.seek(written, Deno.SeekMode.Start);
        written += await file.write(zeros.subarray(0, bytes - written));
      }
      await file.syncData();
      if (this.#state === "spent") logger?.info("The disk has room again, and its reserve is back", { path, bytes });
      this.#state = "held";
    } catch (error) {
      await Deno.truncate(path, 0).catch(() => {});
      logger?.debug("The reserve on the disk could not be taken", { path, reason: reasonOf(error) });
    }
  }

  async #fits(): Promise<boolean> {
    const { path, bytes } = this.#options;
    const there = await Deno.stat(path).then(({ size }) => size, () => 0);
    const { bavail, bsize } = await statfs(path.slice(0, path.lastIndexOf("/") + 1) || ".");
    return bavail * bsize + there >= bytes * (this.#state === "spent" ? 2 : ROOM);
  }
}
