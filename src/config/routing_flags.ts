import type { HedgeSetting, StallSetting } from "@ark/node/routing";
import { ConfigError } from "./config_error.ts";
import { natural } from "./flag_value.ts";

/** Fewer is no race, and more only costs more. */
const RACERS = { least: 2, most: 5 };
/** The shortest silence that can be told from none, and the longest for which one would wait, in milliseconds. */
const STALL_MS = { least: 10, most: 600_000 };

/**
 * Reads `--hedge`.
 *
 * @throws {ConfigError}
 */
export function hedgeSetting(text: string): HedgeSetting {
  if (text === "off" || text === "p95") return text;
  if (!text.startsWith("race:")) {
    throw new ConfigError(`Cannot use --hedge ${text}: it is off, p95 or race:N, such as race:3`);
  }
  return { race: natural("hedge", text.slice("race:".length), RACERS) };
}

/**
 * Reads `--stall-ms`.
 *
 * @throws {ConfigError}
 */
export function stallSetting(text: string): StallSetting {
  return text === "auto" || text === "off" ? text : natural("stall-ms", text, STALL_MS);
}
