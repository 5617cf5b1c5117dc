import { writeDurably } from "@ark/node/store";
import { ArkError } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";

/** A pause as the file has it. */
interface Pause {
  /** When it ends, milliseconds since 1970; null: when the owner ends it. */
  readonly until: number | null;
  /** How long it was to last when it was set, in milliseconds; null as above. */
  readonly length: number | null;
}

/** Options of {@linkcode KeptPause.open}. */
export interface KeptPauseOptions {
  /** The file. */
  path: string;
  /** Says what is wrong with the file. */
  logger: Pick<Logger, "warn">;
  /** The machine's clock, in milliseconds since 1970. */
  clock?: () => number;
}

/** No pause with an end is longer: 366 days, in milliseconds. */
export const LONGEST_PAUSE_MS = 366 * 86_400_000;
const MOST_BYTES = 4_096;
const FOR_EVER: Pause = { until: null, length: null };

/**
 * The owner's pause, which survives a restart. It ends by the machine's clock, since a machine that slept meanwhile must
 * not be paused for longer. A clock that is set back makes no pause longer than it was meant to be: what is left of it
 * is never more than its whole length.
 */
export class KeptPause {
  readonly #path: string;
  readonly #clock: () => number;
  #pause: Pause | null;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor({ path, clock = Date.now }: KeptPauseOptions, pause: Pause | null) {
    this.#path = path;
    this.#clock = clock;
    this.#pause = pause;
  }

  /** Reads what was kept. A file that makes no sense is a pause without end: the owner said something, and it was no consent. */
  static async open(options: KeptPauseOptions): Promise<KeptPause> {
    let text: string;
    try {
      if ((await Deno.stat(options.path)).size > MOST_BYTES) throw new RangeError("it is too long");
      text = await Deno.readTextFile(options.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return new KeptPause(options, null);
      return KeptPause.#unreadable(options);
    }
    const pause = parsePause(text);
    return pause === undefined ? KeptPause.#unreadable(options) : new KeptPause(options, pause);
  }

  static #unreadable(options: KeptPauseOptions): KeptPause {
    const { path } = options;
    options.logger.warn("It cannot be read whether sharing is paused, so it is, until you resume it", { path });
    return new KeptPause(options, FOR_EVER);
  }

  /** The pause that counts now, or null. */
  current(): { readonly until: Date | null } | null {
    const pause = this.#pause;
    if (pause === null || pause.until === null || pause.length === null) return pause === null ? null : { until: null };
    const left = pause.until - this.#clock();
    if (left <= 0) {
      this.#pause = null;
      this.#keep().catch(() => {});
      return null;
    }
    if (left > pause.length) {
      this.#pause = { until: this.#clock() + pause.length, length: pause.length };
      this.#keep().catch(() => {});
    }
    return { until: new Date(this.#pause?.until ?? pause.until) };
  }

  /**
   * Pauses for some milliseconds, or until {@linkcode resume}. It counts at once, and resolves when it is durable.
   *
   * @throws {ArkError} `bad_request` where it would last longer than {@linkcode LONGEST_PAUSE_MS}, or no time at all.
   */
  async pause(length: number | null): Promise<void> {
    if (length !== null && !(length > 0 && length <= LONGEST_PAUSE_MS)) {
      throw new ArkError("bad_request", "A pause lasts for more than no time, and for a year at most");
    }
    this.#pause = length === null ? FOR_EVER : { until: Math.round(this.#clock() + length), length: Math.ceil(length) };
    await this.#keep();
  }

  /** Ends the pause, at once. Resolves when that is durable. */
  async resume(): Promise<void> {
    this.#pause = null;
    await this.#keep();
  }

  /** Resolves when what counts is on the disk, as far as that can be written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  #keep(): Promise<void> {
    // What is written is what counts then: of several changes in a row the last one stays.
    const written = this.#writing.then(() => writeDurably(this.#path, JSON.stringify({ pause: this.#pause }) + "\n"));
    this.#writing = written.catch(() => {});
    return written;
  }
}

/** Reads the file's text; undefined where it makes no sense. Total. */
export function parsePause(text: string): { until: number | null; length: number | null } | null | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("pause" in value)) return undefined;
  const { pause } = value;
  if (pause === null) return null;
  if (typeof pause !== "object") return undefined;
  const { until, length } = pause as Record<string, unknown>;
  if (until === null && length === null) return FOR_EVER;
  const sound = isTime(until) && isTime(length) && length > 0 && length <= LONGEST_PAUSE_MS;
  return sound ? { until, length } : undefined;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
