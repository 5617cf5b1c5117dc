import type { Logger } from "@ark/node/telemetry";
import { reasonOf } from "@ark/node/protocol";
import { fitsRing, JournalRing, makeRing, readRing, type RingContents } from "./journal_ring.ts";
import { LogFile, unwritable } from "./log_file.ts";

/**
 * A commit that took longer makes the next one asynchronous. Below it, waiting for the disk costs the streams of other
 * requests less than the way to a thread and back costs this one.
 */
const SLOW_MS = 1;

/** After one that took longer than so many times that, even handing the bytes to the system is left to a thread. */
const STUCK = 20;

/** `audit.log` is made durable so long after a group that is durable in the ring only, at the latest, in milliseconds. */
const BEHIND_MS = 5_000;

/** Options of {@linkcode Journal.open}. */
export interface JournalOptions {
  /** Above how many milliseconds of the last commit the next one leaves the event loop free; 0 is always. */
  slowMs?: number;
  /** Size of the ring; 0 for none. */
  ringBytes?: number;
  /** Says why there is no ring. */
  logger?: Logger | undefined;
}

/** Which entries the committed bytes are. */
export interface Span {
  /** Number of the first. */
  first: number;
  /** How many. */
  count: number;
}

/**
 * The file `audit.log` and the ring before it: bytes are appended and made durable, or the file is as long as before.
 *
 * | ring | a commit writes to | and waits for |
 * |---|---|---|
 * | none, full or broken | `audit.log` | `audit.log` |
 * | there is room | `audit.log`, then the ring | the ring; `audit.log` is made durable in the background |
 *
 * Whatever else is written to the file meanwhile stands behind {@linkcode size}, and the next commit overwrites it.
 */
export class Journal implements Disposable {
  readonly #file: LogFile;
  readonly #slowMs: number;
  readonly #ringBytes: number;
  readonly #logger: Logger | undefined;
  #ring: JournalRing | undefined;
  /** Whether the ring is only read any more. */
  #broken = false;
  /** Bytes of the file that are durable there; the rest is in the ring. */
  #durable = 0;
  /** Whether some of the rest may have been lost when it was to become durable. */
  #lost = false;
  #behind: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastMs = 0;

  private constructor(file: LogFile, { slowMs = SLOW_MS, ringBytes = 0, logger }: JournalOptions) {
    this.#file = file;
    this.#slowMs = slowMs;
    this.#ringBytes = ringBytes;
    this.#logger = logger;
  }

  /**
   * Opens the file, or makes it with mode 0600, and locks it against a second node.
   *
   * @throws {ArkError} `audit_unavailable`
   */
  static async open(path: string, options: JournalOptions = {}): Promise<Journal> {
    return new Journal(await LogFile.open(path), options);
  }

  /** Where the file is. */
  get path(): string {
    return this.#file.path;
  }

  /** Where the ring is. */
  get ringPath(): string {
    return `${this.path}.journal`;
  }

  /** Bytes of the file that are acknowledged. */
  get size(): number {
    return this.#file.size;
  }

  /** Whether commits go through the ring. */
  get hasRing(): boolean {
    return this.#ring !== undefined && !this.#broken;
  }

  /** What the ring of the last run says; null where there is none. */
  async lastRun(): Promise<RingContents | null> {
    return await readRing(this.ringPath);
  }

  /**
   * Takes the ring into use, where one is asked for and there, once everything up to the entry `seq` is in the file.
   * Without it the log works as well, more slowly. No commit may run.
   *
   * @throws {ArkError} `audit_unavailable` where what is in the file cannot be made durable.
   */
  async start(seq: number): Promise<void> {
    if (this.#ringBytes === 0 || this.hasRing) return;
    try {
      await this.#file.sync();
      this.#allDurable(seq);
    } catch (error) {
      throw this.#failed(error);
    }
    try {
      const ring = await JournalRing.open(this.ringPath, { bytes: this.#ringBytes, seq });
      this.#ring = ring;
    } catch (error) {
      this.#logger?.debug("The journal of the audit log cannot be used", { reason: reasonOf(error) });
    }
  }

  /** Makes the ring's file, where one is asked for and none is in use. It is to be taken into use by {@linkcode start}. */
  async prepare(): Promise<boolean> {
    if (this.#ringBytes === 0 || this.#ring !== undefined) return false;
    try {
      if (!await fitsRing(this.ringPath, this.#ringBytes)) return false;
      await makeRing(this.ringPath, this.#ringBytes);
      return true;
    } catch (error) {
      this.#logger?.debug("The journal of the audit log could not be made", { reason: reasonOf(error) });
      return false;
    }
  }

  /**
   * Appends bytes. On return, or when the returned promise resolves, they are durable; where it throws or rejects, the
   * file is as long as before (or will be, before anything else is written). One commit at a time. Without `span` the
   * ring is left out.
   *
   * @returns Nothing where it is done already, which is the case as long as the disk is fast.
   * @throws {ArkError} `audit_unavailable`
   */
  commit(bytes: Uint8Array, span?: Span): Promise<void> | undefined {
    const began = performance.now();
    const slow = this.#lastMs > this.#slowMs || this.#slowMs === 0;
    if (slow && this.#lastMs > STUCK * this.#slowMs) return this.#commitLater(bytes, { began, span });
    try {
      this.#repair();
      this.#file.write(bytes);
      const inRing = this.#put(bytes, span);
      if (slow) return this.#syncLater(bytes.length, { began, span, inRing });
      if (!inRing || !this.#syncRing()) {
        this.#syncFile();
        this.#allDurable(lastOf(span), bytes.length);
      } else this.#inRing(bytes.length);
    } catch (error) {
      throw this.#failed(error);
    }
    this.#lastMs = performance.now() - began;
    return undefined;
  }

  /** Cuts the file to `size` bytes, at most its present size. */
  truncate(size: number): void {
    this.#file.truncate(size);
  }

  /**
   * Lets go of everything before an offset. One commit at a time: none may run.
   *
   * @throws {ArkError} `audit_unavailable`: the file is as it was.
   */
  async dropBefore(offset: number): Promise<void> {
    await this.settled();
    try {
      this.#repair();
    } catch (error) {
      throw this.#failed(error);
    }
    await this.#file.dropBefore(offset);
    this.#allDurable(this.#ring?.mark.seq ?? 0);
  }

  /** Waits until nothing is made durable in the background. */
  async settled(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#behind;
  }

  /** Brings the file up to date, says so in the ring, closes both and gives the lock back. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    try {
      if (this.#ring?.needed === true) {
        this.#repair();
        this.#file.syncNow();
        if (!this.#broken) this.#ring.clean();
      }
    } catch {
      // Then the next start takes out of the ring what the file lacks.
    }
    this.#ring?.[Symbol.dispose]();
    this.#file[Symbol.dispose]();
  }

  async #commitLater(bytes: Uint8Array, { began, span }: { began: number; span: Span | undefined }): Promise<void> {
    let inRing: boolean;
    try {
      this.#repair();
      await this.#file.writeLater(bytes);
      inRing = this.#put(bytes, span);
    } catch (error) {
      throw this.#failed(error);
    }
    await this.#syncLater(bytes.length, { began, span, inRing });
  }

  async #syncLater(
    length: number,
    { began, span, inRing }: { began: number; span: Span | undefined; inRing: boolean },
  ): Promise<void> {
    try {
      if (inRing && await this.#syncRingLater()) this.#inRing(length);
      else {
        await this.#syncFileLater();
        this.#allDurable(lastOf(span), length);
      }
    } catch (error) {
      throw this.#failed(error);
    }
    this.#lastMs = performance.now() - began;
  }

  /** Writes to the ring, where that goes. */
  #put(bytes: Uint8Array, span: Span | undefined): boolean {
    if (this.#ring === undefined || this.#broken || span === undefined) return false;
    try {
      return this.#ring.put({ ...span, bytes });
    } catch (error) {
      return this.#giveUp(error);
    }
  }

  #syncRing(): boolean {
    try {
      this.#ring?.syncNow();
      return true;
    } catch (error) {
      return this.#giveUp(error);
    }
  }

  async #syncRingLater(): Promise<boolean> {
    try {
      await this.#ring?.sync();
      return true;
    } catch (error) {
      return this.#giveUp(error);
    }
  }

  #syncFile(): void {
    try {
      this.#file.syncNow();
    } catch (error) {
      this.#lost = true;
      throw error;
    }
  }

  async #syncFileLater(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      this.#lost = true;
      throw error;
    }
  }

  /** The ring is not written any more: `audit.log` alone can do it, too. */
  #giveUp(error: unknown): false {
    this.#broken = true;
    this.#logger?.warn("The journal of the audit log cannot be written, the log goes on without it", {
      path: this.ringPath,
      reason: reasonOf(error),
    });
    return false;
  }

  /** A group is durable in the ring. */
  #inRing(length: number): void {
    this.#file.grown(length);
    this.#ring?.keep();
    if (this.#ring?.halfFull === true) this.#catchUp();
    else this.#timer ??= setTimeout(() => this.#catchUp(), BEHIND_MS);
  }

  /** Everything is durable in the file, `length` more bytes included. */
  #allDurable(seq: number, length = 0): void {
    if (length > 0) this.#file.grown(length);
    this.#durable = this.#file.size;
    this.#lost = false;
    const ring = this.#ring;
    if (ring === undefined) return;
    ring.release({ number: ring.mark.number, seq });
    if (!this.#broken) return;
    // Nothing in it is needed: a new one can be made.
    ring[Symbol.dispose]();
    this.#ring = undefined;
    this.#broken = false;
    try {
      Deno.removeSync(this.ringPath);
    } catch {
      // It says nothing that the file does not have.
    }
  }

  /** Makes the file durable up to here in the background, so that the ring has room again. */
  #catchUp(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ring = this.#ring;
    if (this.#behind !== undefined || ring === undefined || this.#lost) return;
    const { mark } = ring;
    const { size } = this.#file;
    this.#behind = this.#file.sync().then(() => {
      this.#durable = Math.max(this.#durable, size);
      ring.release(mark);
    }, () => {
      this.#lost = true;
    }).finally(() => {
      this.#behind = undefined;
    });
  }

  /** After an error the kernel may have dropped what was to become durable: it is taken out of the ring once more. */
  #repair(): void {
    if (!this.#lost || this.#ring === undefined) return;
    this.#file.rewrite(this.#durable, this.#ring.lines());
    this.#lost = false;
  }

  /** The bytes that failed are cut off and written anew next time. */
  #failed(error: unknown): Error {
    try {
      this.#ring?.undo();
    } catch {
      // As below.
    }
    try {
      this.#file.mend();
    } catch {
      // The disk is in trouble; the next commit mends first and fails where that still does not go.
    }
    return unwritable(this.path, error);
  }
}

function lastOf(span: Span | undefined): number {
  return span === undefined ? 0 : span.first + span.count - 1;
}
