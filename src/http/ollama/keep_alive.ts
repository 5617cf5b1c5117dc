import { invalid } from "../api/request_fault.ts";

/** Units of a duration as Go writes it, in milliseconds. Both signs for micro are in use. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/** A hundred years: what is meant to last longer is meant to last. */
const FOR_EVER_MS = 36_525 * 86_400_000;

/** Longest text that can be meant as a duration, in characters. */
const TEXT_LENGTH = 64;

/**
 * How long a model is to stay in memory after a request, in milliseconds: null is for ever, 0 is not at all, and undefined
 * is as the node does by itself. Ollama takes seconds as a number, a duration of Go such as `5m` or `1h30m`, and for ever
 * as anything below zero. A number in a text, which Ollama refuses, is seconds, too: clients that have one text field for
 * it send that.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function keepAliveMs(value: unknown): number | null | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const ms = typeof value === "number" ? value * 1_000 : typeof value === "string" ? durationMs(value) : NaN;
  if (Number.isNaN(ms)) {
    throw invalid("keep_alive", "must be seconds, or a duration such as 5m, 1h30m or -1 for ever");
  }
  return ms < 0 || ms > FOR_EVER_MS ? null : Math.max(0, ms);
}

/** A duration of Go, or seconds where there is no unit, in milliseconds; NaN for anything else. */
function durationMs(text: string): number {
  if (text.length > TEXT_LENGTH) return NaN;
  const [, sign, rest = ""] = /^([+-]?)(.*)$/s.exec(text.trim()) ?? [];
  const factor = sign === "-" ? -1 : 1;
  if (/^(\d+\.?\d*|\.\d+)$/.test(rest)) return factor * Number(rest) * 1_000;
  let ms = 0;
  let at = 0;
  while (at < rest.length) {
    PART.lastIndex = at;
    const part = PART.exec(rest);
    if (part === null) return NaN;
    const [whole, amount, unit] = part;
    ms += Number(amount) * (UNITS[unit ?? ""] ?? NaN);
    at += whole.length;
  }
  return rest === "" ? NaN : factor * ms;
}
