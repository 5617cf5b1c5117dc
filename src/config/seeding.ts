import type { SeedHours, SeedingRules } from "@ark/node/models";
import { ConfigError } from "./config_error.ts";
import { hourRange } from "./share_hours.ts";

/**
 * Reads which models are given to peers and when.
 *
 * @throws {ConfigError} with one sentence.
 */
export function seedingRules(models: readonly string[], hours: string | undefined): SeedingRules {
  return { models: models.length === 0 ? null : models, hours: hours === undefined ? null : seedHours(hours) };
}

function seedHours(text: string): SeedHours {
  const range = hourRange(text);
  if (range !== null) return range;
  throw new ConfigError(`Cannot use --seed-hours ${text}: it is from and until, such as 22-7 or 22:30-6:15`);
}
