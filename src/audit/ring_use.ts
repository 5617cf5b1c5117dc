import { reasonOf } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import { fitsRing, JournalRing, makeRing, type RingMark } from "./journal_ring.ts";

/** Options of {@linkcode RingUse}. */
export interface RingUseOptions {
  /** The file. */
  path: string;
  /** Its size; 0 for none. */
  bytes: number;
  /** Says why there is no ring. */
  logger: Logger | undefined;
}

/** Which entries the committed bytes are. */
export interface Span {
  /** Number of the first. */
  first: number;
  /** How many. */
  count: number;
}

/**
 * A ring that may be missing, or break: then `audit.log` alone has to do, which takes longer and promises the same.
 *
 * | state | next |
 * |---|---|
 * | none | `prepare()` makes the file, `open()` takes it into use |
 * | in use | an error of the disk breaks it |
 * | broken | is read where `audit.log` lacks something, and removed once it lacks nothing |
 */
export class RingUse implements Disposable {
  readonly #options: RingUseOptions;
  #ring: JournalRing | undefined;
  #broken = false;

  /** Opens nothing yet. */
  constructor(options: RingUseOptions) {
    this.#options = options;
  }

  /** Whether groups can be put. */
  get ready(): boolean {
    return this.#ring !== undefined && !this.#broken;
  }

  /** Whether a ring is asked for and not ready. */
  get wanted(): boolean {
    return this.#options.bytes > 0 && !this.ready;
  }

  /** Whether it is time to make `audit.log` durable. */
  get due(): boolean {
    return this.#ring?.due ?? false;
  }

  /** Whether any of it is needed. */
  get needed(): boolean {
    return this.#ring?.needed ?? false;
  }

  /** Up to its newest record. */
  get mark(): RingMark {
    return this.#ring?.mark ?? { number: 0, seq: 0 };
  }

  /** Makes the file, where one is asked for and none is in use; false where that does not go. */
  async prepare(): Promise<boolean> {
    const { path, bytes, logger } = this.#options;
    if (bytes === 0 || this.#ring !== undefined) return false;
    try {
      if (!await fitsRing(path, bytes)) return false;
      await makeRing(path, bytes);
      return true;
    } catch (error) {
      logger?.debug("The journal of the audit log could not be made", { path, reason: reasonOf(error) });
      return false;
    }
  }

  /** Takes the file into use, where it is there; everything up to the entry `seq` is durable in `audit.log`. */
  async open(seq: number): Promise<void> {
    const { path, bytes, logger } = this.#options;
    try {
      this.#ring = await JournalRing.open(path, { bytes, seq });
    } catch (error) {
      logger?.debug("The journal of the audit log cannot be used", { path, reason: reasonOf(error) });
    }
  }

  /** Writes a group, where that goes. */
  put(bytes: Uint8Array, span: Span | undefined): boolean {
    if (this.#ring === undefined || this.#broken || span === undefined) return false;
    try {
      return this.#ring.put({ ...span, bytes });
    } catch (error) {
      return this.#breaks(error);
    }
  }

  /** Makes durable what was put; false where that failed. */
  syncNow(): boolean {
    try {
      this.#ring?.syncNow();
      return true;
    } catch (error) {
      return this.#breaks(error);
    }
  }

  /** The same in a thread. */
  async sync(): Promise<boolean> {
    try {
      await this.#ring?.sync();
      return true;
    } catch (error) {
      return this.#breaks(error);
    }
  }

  /** What was put is acknowledged. */
  keep(): void {
    this.#ring?.keep();
  }

  /** What was put is not to be found by a start, as far as the disk lets that be. */
  undo(): void {
    try {
      this.#ring?.undo();
    } catch {
      // A start that finds it nevertheless says so.
    }
  }

  /** The lines that are needed yet, in order. */
  lines(): Iterable<Uint8Array> {
    return this.#ring?.lines() ?? [];
  }

  /** What stands up to there is durable in `audit.log`. */
  release(mark: RingMark): void {
    this.#ring?.release(mark);
  }

  /** Everything is, up to the entry `seq`; so nothing of a broken ring is needed, and a new one can be made. */
  releaseAll(seq: number): void {
    this.release({ number: this.mark.number, seq });
    if (this.#broken) this.discard();
  }

  /** Removes the file, of which nothing is needed. */
  discard(): void {
    this.#ring?.[Symbol.dispose]();
    this.#ring = undefined;
    this.#broken = false;
    try {
      Deno.removeSync(this.#options.path);
    } catch {
      // It says nothing that the file does not have.
    }
  }

  /** Says, durably, that all is in `audit.log`. */
  clean(): void {
    if (!this.#broken) this.#ring?.clean();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#ring?.[Symbol.dispose]();
  }

  #breaks(error: unknown): false {
    const { path, logger } = this.#options;
    this.#broken = true;
    const reason = reasonOf(error);
    logger?.warn("The journal of the audit log cannot be written, the log goes on without it", { path, reason });
    return false;
  }
}
