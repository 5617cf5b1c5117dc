import { isDeepStrictEqual } from "node:util";
import { type Config, LIVE_SETTINGS } from "@ark/node/config";
import { reasonOf } from "@ark/node/protocol";
import { type Logger, nextBeat } from "@ark/node/telemetry";

/** What {@linkcode ConfigWatch} needs. */
export interface ConfigWatchOptions {
  /** The configuration that the node started with. */
  config: Config;
  /** The file, which need not be there yet. */
  file: string;
  /** Reads it anew, as the start did. */
  load(): Promise<Config>;
  /** Puts what can be changed while the node runs into effect. */
  apply(config: Config): void;
  /** Says what happened. */
  logger: Pick<Logger, "info" | "warn">;
  /** How often the file is looked at, in milliseconds. @default {2000} */
  everyMs?: number;
}

/** Settings that count at once. */
const LIVE: ReadonlySet<keyof Config> = new Set(Object.values(LIVE_SETTINGS));

/**
 * Follows the configuration file. A change that is safe counts at once, any other one from the next start, which is said;
 * a file that cannot be used changes nothing, which is said as well.
 */
export class ConfigWatch {
  readonly #options: ConfigWatchOptions;
  #config: Config;
  #seen: string | null = null;

  /** Makes a watch over the file that the node started with. */
  constructor(options: ConfigWatchOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** Looks until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { file, everyMs = 2_000 } = this.#options;
    this.#seen = await versionOf(file);
    while (!signal.aborted) {
      await nextBeat(everyMs, { signal });
      if (signal.aborted) return;
      const version = await versionOf(file);
      // A file that is being replaced may be away for a moment.
      if (version === null || version === this.#seen) continue;
      this.#seen = version;
      await this.#read();
    }
  }

  async #read(): Promise<void> {
    const { load, apply, logger } = this.#options;
    let next: Config;
    try {
      next = await load();
    } catch (error) {
      return logger.warn(`The changed configuration is not used: ${reasonOf(error)}`);
    }
    const changed = (Object.keys(next) as (keyof Config)[]).filter((key) =>
      key !== "file" && !isDeepStrictEqual(next[key], this.#config[key])
    );
    this.#config = next;
    if (changed.length === 0) return;
    const later = changed.filter((key) => !LIVE.has(key));
    if (later.length < changed.length) apply(next);
    logger.info(
      later.length === 0
        ? "The changed configuration counts from now on"
        : `The configuration was changed: ${later.join(", ")} count from the next start`,
    );
  }
}

async function versionOf(path: string): Promise<string | null> {
  try {
    const { mtime, size, ino } = await Deno.stat(path);
    return `${mtime?.getTime()} ${size} ${ino}`;
  } catch {
    return null;
  }
}
