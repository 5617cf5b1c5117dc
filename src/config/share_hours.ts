import { ConfigError } from "./config_error.ts";

/** Hours in which a node shares, by the machine's own clock. From later than until goes over midnight; the same is all day. */
export interface ShareHours {
  /** Days on which they begin, 0 for Sunday to 6 for Saturday. */
  readonly days: readonly number[];
  /** Minutes after midnight when they begin, 0 to 1439. */
  readonly from: number;
  /** Minutes after midnight when they end, 0 to 1439. */
  readonly until: number;
}

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];
const DAY_MINUTES = 1_440;

/**
 * Reads `--share-hours`, such as `22-7`, `mon-fri 22:30-6:15` or `sat 0-24`.
 *
 * @throws {ConfigError} with one sentence.
 */
export function shareHours(text: string): ShareHours {
  const words = text.trim().toLowerCase().split(/\s+/);
  const hours = words.pop() ?? "";
  const days = words.length === 0 ? EVERY_DAY : words.length === 1 ? daysOf(words[0] ?? "") : null;
  const range = hourRange(hours);
  if (days === null || range === null) {
    throw new ConfigError(
      `Cannot use --share-hours ${text}: it is days and hours such as 22-7, 'mon-fri 22:30-6:15' or 'sat-sun 0-24'`,
    );
  }
  return { days, ...range };
}

/** Reads `22-7` or `22:30-6:15` as minutes after midnight; null where it is no such thing. */
export function hourRange(text: string): { from: number; until: number } | null {
  const [from, until, ...more] = text.split("-").map(minuteOf);
  if (from === undefined || from === null || until === undefined || until === null || more.length > 0) return null;
  return { from, until };
}

/** Whether one of some hours is now; a night belongs to the day on which it began. Pure. */
export function isShareTime(all: readonly ShareHours[], now: Date): boolean {
  const [day, minute] = [now.getDay(), now.getHours() * 60 + now.getMinutes()];
  return all.some(({ days, from, until }) => {
    if (from === until) return days.includes(day);
    if (from < until) return days.includes(day) && minute >= from && minute < until;
    return (days.includes(day) && minute >= from) || (days.includes((day + 6) % 7) && minute < until);
  });
}

/** When the next of some hours begins, to the minute; null where one is now, or none comes within eight days. Pure. */
export function nextShareTime(all: readonly ShareHours[], now: Date): Date | null {
  if (isShareTime(all, now)) return null;
  const candidates = all.flatMap(({ days, from, until }) =>
    Array.from({ length: 9 }, (_, ahead) => {
      const start = from === until ? 0 : from;
      const at = new Date(now.getFullYear(), now.getMonth(), now.getDate() + ahead, Math.floor(start / 60), start % 60);
      return days.includes(at.getDay()) && at > now ? at : null;
    })
  );
  return candidates.reduce<Date | null>(
    (first, at) => at !== null && (first === null || at < first) ? at : first,
    null,
  );
}

function daysOf(text: string): number[] | null {
  const [first = -1, last = first, ...more] = text.split("-").map((name) => DAYS.indexOf(name));
  if (first < 0 || last < 0 || more.length > 0) return null;
  // From Friday to Monday goes over the end of the week.
  return Array.from({ length: (last - first + 7) % 7 + 1 }, (_, index) => (first + index) % 7);
}

/** Minutes after midnight; midnight may also be called 24. */
function minuteOf(text: string): number | null {
  const [, hour, minute = "0"] = /^(\d{1,2})(?::(\d{2}))?$/.exec(text.trim()) ?? [];
  const at = Number(hour) * 60 + Number(minute);
  return Number(minute) > 59 || !(at <= DAY_MINUTES) ? null : at % DAY_MINUTES;
}
