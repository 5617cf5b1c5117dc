import type { Logger } from "@ark/node/telemetry";
import { readRing, type RingContents } from "./journal_ring.ts";
import { LogFile, unwritable } from "./log_file.ts";
import { RingUse, type Span } from "./ring_use.ts";

/**
 * A commit that took longer makes the next one asynchronous. Below it, waiting for the disk costs the streams of other
 * requests less than the way to a thread and back costs this one.
 */
const SLOW_MS = 1;

/** After one that took longer than so many times that, even handing the bytes to the system is left to a thread. */
const STUCK = 20;

/** `audit.log` is made durable so long after a group that is durable in the ring only, at the latest, in milliseconds. */
const BEHIND_MS = 5_000;

/** Options of {@linkcode Journal.commit}. */
export interface CommitOptions {
  /** Which entries the bytes are; without it the ring is left out. */
  span?: Span | undefined;
  /** Called once the system has the bytes. */
  written?: (() => void) | undefined;
}

/** Options of {@linkcode Journal.open}. */
export interface JournalOptions {
  /** Above how many milliseconds of the last commit the next one leaves the event loop free; 0 is always. */
  slowMs?: number;
  /** Size of the ring; 0 for none. */
  ringBytes?: number;
  /** Says why there is no ring. */
  logger?: Logger | undefined;
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
  readonly #ring: RingUse;
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
    this.#ring = new RingUse({ path: `${file.path}.journal`, bytes: ringBytes, logger });
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
    return this.#ring.ready;
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
    if (!this.#ring.wanted) return;
    try {
      await this.#file.sync();
      this.#allDurable(seq);
    } catch (error) {
      throw this.#failed(error);
    }
    await this.#ring.open(seq);
  }

  /** Makes the ring's file, where one is asked for and none is in use. It is to be taken into use by {@linkcode start}. */
  async prepare(): Promise<boolean> {
    return await this.#ring.prepare();
  }

  /**
   * Appends bytes. On return, or when the returned promise resolves, they are durable; where it throws or rejects, the
   * file is as long as before (or will be, before anything else is written). One commit at a time. Without `span` the
   * ring is left out. `written` is called as soon as the system has the bytes, before the disk has: they outlive this
   * process then, and not yet a loss of power. It must not throw.
   *
   * @returns Nothing where it is done already, which is the case as long as the disk is fast.
   * @throws {ArkError} `audit_unavailable`
   */
  commit(bytes: Uint8Array, { span, written }: CommitOptions = {}): Promise<void> | undefined {
    const began = performance.now();
    const slow = this.#lastMs > this.#slowMs || this.#slowMs === 0;
    if (slow && this.#lastMs > STUCK * this.#slowMs) return this.#commitLater(bytes, { began, span, written });
    try {
      this.#repair();
      this.#file.write(bytes);
      // The ring is for what a loss of power takes; what is in the file outlives this process.
      written?.();
      const inRing = this.#ring.put(bytes, span);
      if (slow) return this.#syncLater(bytes.length, { began, span, inRing });
      if (inRing && this.#ring.syncNow()) this.#inRing(bytes.length);
      else if (this.#behind !== undefined) return this.#syncLater(bytes.length, { began, span, inRing: false });
      else {
        this.#syncFile();
        this.#allDurable(lastOf(span), bytes.length);
      }
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
    this.#allDurable(this.#ring.mark.seq);
    // What was pruned is not to stay there until it is overwritten.
    this.#ring.discard();
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
      if (this.#ring.needed) {
        this.#repair();
        this.#file.syncNow();
        this.#ring.clean();
      }
    } catch {
      // Then the next start takes out of the ring what the file lacks.
    }
    this.#ring[Symbol.dispose]();
    this.#file[Symbol.dispose]();
  }

  async #commitLater(bytes: Uint8Array, { began, span, written }: CommitOptions & { began: number }): Promise<void> {
    let inRing: boolean;
    try {
      this.#repair();
      await this.#file.writeLater(bytes);
      written?.();
      inRing = this.#ring.put(bytes, span);
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
      if (inRing && await this.#ring.sync()) this.#inRing(length);
      else {
        await this.#syncFileLater();
        this.#allDurable(lastOf(span), length);
      }
    } catch (error) {
      throw this.#failed(error);
    }
    this.#lastMs = performance.now() - began;
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
    // An error of the disk is told to one caller only, so two at a time could both take what is lost for durable.
    await this.#behind;
    if (this.#lost) throw new Error("what was written before could not be made durable");
    try {
      await this.#file.sync();
    } catch (error) {
      this.#lost = true;
      throw error;
    }
  }

  /** A group is durable in the ring. */
  #inRing(length: number): void {
    this.#file.grown(length);
    this.#ring.keep();
    if (this.#ring.due) this.#catchUp();
    else this.#timer ??= setTimeout(() => this.#catchUp(), BEHIND_MS);
  }

  /** Everything is durable in the file, `length` more bytes included. */
  #allDurable(seq: number, length = 0): void {
    if (length > 0) this.#file.grown(length);
    this.#durable = this.#file.size;
    this.#lost = false;
    this.#ring.releaseAll(seq);
  }

  /** Makes the file durable up to here in the background, so that the ring has room again. */
  #catchUp(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#behind !== undefined || !this.#ring.needed || this.#lost) return;
    const { mark } = this.#ring;
    const { size } = this.#file;
    this.#behind = this.#file.sync().then(() => {
      this.#durable = Math.max(this.#durable, size);
      this.#ring.release(mark);
    }, () => {
      this.#lost = true;
    }).finally(() => {
      this.#behind = undefined;
    });
  }

  /** After an error the kernel may have dropped what was to become durable: it is taken out of the ring once more. */
  #repair(): void {
    if (!this.#lost || !this.#ring.needed) return;
    this.#file.rewrite(this.#durable, this.#ring.lines());
    this.#lost = false;
  }

  /** The bytes that failed are cut off and written anew next time. */
  #failed(error: unknown): Error {
    this.#ring.undo();
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
