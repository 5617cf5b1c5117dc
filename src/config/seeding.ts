import type { SeedHours, SeedingRules } from "@ark/node/models";
import { ConfigError } from "./config_error.ts";

/**
 * Reads which models are given to peers and when.
 *
 * @throws {ConfigError} with one sentence.
 */
export function seedingRules(models: readonly string[], hours: string | undefined): SeedingRules {
  return { models: models.length === 0 ? null : models, hours: hours === undefined ? null : seedHours(hours) };
}

function seedHours(text: string): SeedHours {
  const [from, until, ...more] = text.split("-").map(minuteOf);
  if (from === undefined || from === null || until === undefined || until === null || more.length > 0) {
    throw new ConfigError(`Cannot use --seed-hours ${text}: it is from and until, such as 22-7 or 22:30-6:15`);
  }
  return { from, until };
}

/** Minutes after midnight; midnight may also be called 24. */
function minuteOf(text: string): number | null {
  const [, hour, minute = "0"] = /^(\d{1,2})(?::(\d{2}))?$/.exec(text.trim()) ?? [];
  const at = Number(hour) * 60 + Number(minute);
  return Number(minute) > 59 || !(at <= 1_440) ? null : at % 1_440;
}
