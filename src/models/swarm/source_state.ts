import { ArkError, reasonOf } from "@ark/node/protocol";
import type { PieceSource, SourceReport } from "./piece_source.ts";

/** Pause after the first failure of a source, doubled with each further one, in milliseconds. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 3_000;
/** Longest time that a source may make this node wait because it is busy, in milliseconds. */
const LONGEST_BUSY_MS = 30_000;
/** Failures in a row after which what a source has does not count. */
const MOST_FAILURES = 2;
/** Chunks in a row that it said to have and has not. */
const MOST_REFUSALS = 16;

/** How a source of a file stands while the file comes. */
export class SourceState {
  /** The source. */
  readonly source: PieceSource;
  /** Bytes of it that are in the file. */
  bytes = 0;
  /** When it may be asked again, in monotonic milliseconds. */
  resumeAt = 0;
  /** When it is to be asked what it has, in monotonic milliseconds; null for no more. */
  pollAt: number | null = 0;
  /** Whether it is being asked. */
  polling = false;
  /** Whether it has answered, or has not when it was asked. */
  known = false;
  /** Whether it may be asked for anything now. */
  needed = true;
  /** Whether it gives nothing any more, because of `fault`. */
  gone = false;
  #failures = 0;
  #refusals = 0;
  #fault: string | null = null;
  #busySince: number | null = null;
  #busyMs = 0;

  /** Begins with one that nobody asked yet. */
  constructor(source: PieceSource) {
    this.source = source;
  }

  /** Why it gives nothing now, or null. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Whether it failed so often that what it has does not count. */
  get failing(): boolean {
    return this.#failures >= MOST_FAILURES;
  }

  /** Notes that it answered. */
  answered(): void {
    this.#failures = 0;
    if (!this.gone) this.#fault = null;
  }

  /** Notes that a chunk of it is in the file. */
  kept(bytes: number): void {
    this.bytes += bytes;
    this.#refusals = 0;
    this.answered();
  }

  /** Notes that it has not a chunk that it said to have. Gives whether that was so too often. */
  refused(now: number): boolean {
    this.resumeAt = now + FIRST_PAUSE_MS;
    this.pollAt = now;
    return ++this.#refusals >= MOST_REFUSALS;
  }

  /** Notes that it is not to be asked any more. */
  leave(reason: string): void {
    this.gone = true;
    this.#fault = reason;
  }

  /** Notes what a question failed with. Gives whether it was a refusal for now, and no failure. */
  failed(error: unknown, now: number): boolean {
    if (error instanceof ArkError && error.code === "busy") {
      const ms = Math.min(LONGEST_BUSY_MS, Math.max(100, (error.retryAfterSeconds ?? 1) * 1_000));
      this.resumeAt = now + ms;
      return true;
    }
    this.#failures++;
    this.#fault = reasonOf(error).slice(0, 200);
    this.resumeAt = now + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(10, this.#failures - 1));
    return false;
  }

  /** Notes that chunks are on their way from it. */
  busy(now: number): void {
    this.#busySince ??= now;
  }

  /** Notes that none is. */
  idle(now: number): void {
    if (this.#busySince !== null) this.#busyMs += now - this.#busySince;
    this.#busySince = null;
  }

  /** What it did. */
  report(bad: number, now: number): SourceReport {
    const { key, name, kind } = this.source;
    const ms = this.#busyMs + (this.#busySince === null ? 0 : now - this.#busySince);
    return { key, name, kind, bytes: this.bytes, bad, ms: Math.round(ms), fault: this.#fault };
  }
}
