import { UsageError } from "./command.ts";

/** A pause as the node is asked for it: some seconds, a moment, or neither for one that the owner ends. */
export type PauseWish = { for_s: number } | { until: string } | Record<string, never>;

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const LONGEST_S = 366 * 86_400;
/** When people get up who pause until tomorrow. */
const MORNING = 7;

/**
 * Reads the words after `pause`: none, `1h`, `90m`, `until 18:00` or `until tomorrow`. Pure.
 *
 * @throws {UsageError} with one sentence.
 */
export function pauseWish(words: readonly string[], now: Date = new Date()): PauseWish {
  const [first, second, ...more] = words;
  if (first === undefined) return {};
  if (first === "until" && second !== undefined && more.length === 0) {
    const at = second === "tomorrow" ? nextMorning(now) : nextTime(second, now);
    if (at !== null) return { until: at.toISOString() };
  } else if (second === undefined) {
    const [, amount, unit = ""] = /^(\d{1,6})(s|m|min|h|d)$/.exec(first) ?? [];
    const seconds = Number(amount) * (UNITS[unit.charAt(0)] ?? NaN);
    if (seconds > 0 && seconds <= LONGEST_S) return { for_s: seconds };
  }
  throw new UsageError(
    `Cannot pause for '${words.join(" ")}': write 30m, 1h or 2d, 'until 18:00' or 'until tomorrow', or nothing at all`,
  );
}

function nextMorning(now: Date): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, MORNING);
}

/** The next time that a clock on this machine shows so much. */
function nextTime(text: string, now: Date): Date | null {
  const [, hour, minute = "0"] = /^(\d{1,2})(?::(\d{2}))?$/.exec(text) ?? [];
  if (hour === undefined || Number(hour) > 24 || Number(minute) > 59 || (Number(hour) === 24 && Number(minute) > 0)) {
    return null;
  }
  const on = (day: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() + day, Number(hour), Number(minute));
  return on(0) > now ? on(0) : on(1);
}
