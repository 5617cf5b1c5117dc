import { setTimeout as pause } from "node:timers/promises";

/** A timer may fire a little early: what is left of a beat then is no beat of its own, in milliseconds. */
const SLACK_MS = 5;

/** Options of {@linkcode nextBeat}. */
export interface NextBeatOptions {
  /** Ends the wait. */
  signal: AbortSignal;
  /** Whether the wait keeps the program running. @default {true} */
  ref?: boolean;
}

/**
 * Waits for the next beat of those that are so many milliseconds apart: for as long as that at most, and some milliseconds.
 * Never rejects; it returns at once when the signal fires.
 *
 * Beats are whole multiples of their distance on the monotonic clock, and not counted from when somebody began to wait. So
 * whoever looks after something each second, and each two seconds, does it in the same moment, and a node that has nothing
 * to do wakes once a second: to wake costs more than most looks.
 */
export async function nextBeat(everyMs: number, { signal, ref = true }: NextBeatOptions): Promise<void> {
  const left = everyMs - performance.now() % everyMs;
  const ms = left <= Math.min(SLACK_MS, everyMs / 8) ? left + everyMs : left;
  await pause(Math.ceil(ms), undefined, { signal, ref }).catch(() => {});
}
