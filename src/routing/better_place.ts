import { type Candidate, type Demand, estimateMs, type Work } from "./rank.ts";

/** A request that waits goes where it ends in less than this part of the time. */
const START_PART = 0.9;
/** No line is believed to be longer than this, whatever a peer says. */
const LONGEST_LINE = 8;
/** A running answer goes where its rest ends in less than this part of the time, and sooner by as many milliseconds. */
const REST_PART = 0.7;
const LEAST_GAIN_MS = 8_000;
/** The reader waits for it no longer than this while the other one reads, in milliseconds. */
const LONGEST_READING_MS = 1_500;

/** Whether one would begin with a request at once: warm, and with a slot that nobody waits for. */
export function isFree({ loaded, queued, inFlight, slots, free = slots - inFlight }: Candidate): boolean {
  return loaded && queued === 0 && free > 0 && inFlight < slots;
}

/**
 * Whether a request that waits in the line of one would be answered clearly sooner by another one, which is free. The line
 * is taken for as long as it is said to be, although the request may be near its front: where it is, one cannot know.
 */
export function answersSooner(waiting: Candidate, free: Candidate, demand: Demand): boolean {
  if (!isFree(free) || waiting.queued < 1) return false;
  const { typical = demand } = demand;
  const alone = { ...waiting, inFlight: 0, queued: 0, free: 1 };
  const turns = Math.min(waiting.queued, LONGEST_LINE) / Math.max(1, waiting.slots);
  const here = estimateMs(alone, demand) + turns * estimateMs({ ...alone, roundTripMs: 0 }, typical);
  return estimateMs(free, demand) < START_PART * here;
}

/** What is left of a running answer. */
export interface Rest extends Work {
  /** Milliseconds in which whoever writes it now writes a token. */
  readonly paceMs: number;
}

/** Whether so much is left that another place could be worth it at all. */
export function isLong({ answerTokens, paceMs }: Rest): boolean {
  return answerTokens * paceMs > LEAST_GAIN_MS;
}

/**
 * Whether the rest of a running answer would be there so much sooner from another one, which is free, that it is worth to
 * read prompt and answer once more there; and that reading is short enough for who waits meanwhile.
 */
export function endsSooner(rest: Rest, free: Candidate): boolean {
  if (!isFree(free) || !isLong(rest)) return false;
  const here = rest.answerTokens * rest.paceMs;
  const there = estimateMs(free, rest);
  const reading = estimateMs(free, { ...rest, answerTokens: 0 });
  return here - there > LEAST_GAIN_MS && there < REST_PART * here && reading <= LONGEST_READING_MS;
}
