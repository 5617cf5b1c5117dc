/** Readers of what stands after a flag. Each refuses with one sentence that names the flag. */
import { resolve } from "node:path";
import { ConfigError } from "./config_error.ts";

/** One of a few words. */
export function choice<T extends string>(flag: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text);
  if (found === undefined) throw new ConfigError(`Cannot use --${flag} ${text}: it is one of ${allowed.join(", ")}`);
  return found;
}

/** A switch as a variable of the environment spells it. */
export function switchedOn(flag: string, text: string): boolean {
  if (["1", "true", "yes", "on"].includes(text.toLowerCase())) return true;
  if (["", "0", "false", "no", "off"].includes(text.toLowerCase())) return false;
  throw new ConfigError(`Cannot use ${environmentName(flag)}=${text} for --${flag}: it is 1 or 0`);
}

/** The variable of the environment that stands for a flag. */
export function environmentName(flag: string): string {
  return `ARK_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** A whole number within a range. */
export function natural(flag: string, text: string, range: { least: number; most: number }): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < range.least || value > range.most) {
    throw new ConfigError(`Cannot use --${flag} ${text}: it is a whole number from ${range.least} to ${range.most}`);
  }
  return value;
}

const UNITS: Record<string, number> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/** A size in bytes, such as `512MiB` or `2GiB`. */
export function bytes(flag: string, text: string): number {
  const [, amount, unit] = text.match(/^(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?$/i) ?? [];
  const factor = UNITS[(unit ?? "").toLowerCase()];
  const size = Math.round(Number(amount) * (factor ?? NaN));
  if (!Number.isSafeInteger(size)) {
    throw new ConfigError(`Cannot use --${flag} ${text}: it is a size such as 512MiB or 2GiB`);
  }
  return size;
}

/**
 * Bytes in a second, as `20MB`, `20MB/s`, `100mbit` or `1gbit`; null for `0`, which is no limit.
 *
 * @throws {ConfigError}
 */
export function byteRate(flag: string, text: string): number | null {
  const [, amount, unit = "", kind = "b"] = text.match(/^(\d+(?:\.\d+)?)\s*([kmgt]i?)?(b|bit)?(?:\/s)?$/i) ?? [];
  const bits = kind.toLowerCase() === "bit" ? 8 : 1;
  const rate = Math.round(Number(amount) * (UNITS[unit.toLowerCase()] ?? NaN) / bits);
  if (rate === 0) return null;
  if (!Number.isSafeInteger(rate) || rate < LEAST_RATE) {
    throw new ConfigError(`Cannot use --${flag} ${text}: it is a rate such as 20MB or 100mbit, at least 16kB, or 0`);
  }
  return rate;
}

/** Less would not bring a chunk over before whoever asked for it gives up. */
const LEAST_RATE = 16_000;

/** A hundred years: what is meant to last longer is meant to last. */
const LONGEST_MS = 36_525 * 86_400_000;

/**
 * How long from now an expiry such as `30d`, `12h` or `never` is, in milliseconds; null is never.
 *
 * @throws {ConfigError} with one sentence that names the flag.
 */
export function duration(flag: string, text: string): number | null {
  if (text === "never") return null;
  const [, amount, unit] = text.match(/^(\d+)\s*([mhdw])$/) ?? [];
  const factor = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }[unit ?? ""];
  const ms = Number(amount) * (factor ?? NaN);
  if (!(ms > 0 && ms <= LONGEST_MS)) {
    throw new ConfigError(`Cannot use --${flag} ${text}: it is a time such as 12h, 30d, 4w or never`);
  }
  return ms;
}

/**
 * How long something stays that nobody uses, such as `30s`, `5m`, `0` or `never`, in milliseconds; null is never.
 *
 * @throws {ConfigError} with one sentence that names the flag.
 */
export function stay(flag: string, text: string): number | null {
  if (text === "never") return null;
  const [, amount, unit] = text.match(/^(\d+)\s*([smhd])?$/) ?? [];
  const factor = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ""] ?? (amount === "0" ? 1 : NaN);
  const ms = Number(amount) * factor;
  if (!(ms <= LONGEST_MS)) {
    throw new ConfigError(`Cannot use --${flag} ${text}: it is a time such as 30s, 5m, 12h, 0 or never`);
  }
  return ms;
}

/**
 * An addition to a model, `NAME=FILE`.
 *
 * @throws {ConfigError} with one sentence that names the flag.
 */
export function lora(text: string): { name: string; path: string } {
  const [, name = "", path = ""] = text.match(/^([\w][\w.-]{0,63})=(.+)$/) ?? [];
  if (path === "") {
    throw new ConfigError(
      `Cannot use --lora ${text}: it is a name of letters, digits, - and _, then = and a GGUF file`,
    );
  }
  return { name, path: resolve(path) };
}
