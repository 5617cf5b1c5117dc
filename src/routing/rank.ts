/** What is known of one that could answer. */
export interface Candidate {
  /** What it is known by, and stays: the id of a peer's node, `local`, or `upstream:NAME`. */
  readonly key: string;
  /** Name for people. */
  readonly name: string;
  /** Whether it is this node itself. */
  readonly local: boolean;
  /** Whether the model is in its memory now. */
  readonly loaded: boolean;
  /** Requests of ours that it is answering. */
  readonly inFlight: number;
  /** Requests that it answers at once. */
  readonly slots: number;
  /** Requests that wait there, as it claims. */
  readonly queued: number;
  /** How many more it would begin at once, as it claims; absent where it does not say. */
  readonly free?: number;
  /** Measured round trip in milliseconds; 0 for this node, infinite where it is not known. */
  readonly roundTripMs: number;
  /** Tokens of a prompt that it reads in a second: observed, else as it claims, else null. */
  readonly promptRate: number | null;
  /** Tokens of one answer that it writes in a second: observed, else as it claims, else null. */
  readonly generationRate: number | null;
  /** How long it loads the model, in milliseconds, or null where that is not known. */
  readonly loadMs: number | null;
  /** How many of its answers come to their end: 0 to 1. */
  readonly successRate: number;
}

/** How much is to be done. */
export interface Work {
  /** Tokens to read. */
  readonly promptTokens: number;
  /** Tokens to write, as far as one can expect. */
  readonly answerTokens: number;
}

/** What is asked. */
export interface Demand extends Work {
  /** What the requests of others usually are, for how long they keep a candidate; absent: like this one. */
  readonly typical?: Work;
  /** Tokens of this very prompt that a candidate has still in memory; absent: none. */
  cachedTokens?(key: string): number;
  /** Uniform in [0, 1), for the choice between near ties; absent: there is no choice, and the order is stable. */
  random?(): number;
}

/** Tokens of a prompt in a second where neither observation nor claim tells. */
export const UNKNOWN_PROMPT_RATE = 200;
/** Tokens of an answer in a second where neither observation nor claim tells. */
export const UNKNOWN_GENERATION_RATE = 10;
/** Loading a model where neither observation nor claim tells how long it takes, in milliseconds. */
const UNKNOWN_LOAD_MS = 5_000;
/** Round trip where it is not known, in milliseconds. */
const UNKNOWN_ROUND_TRIP_MS = 250;
/** No machine is taken for slower or faster than this, in tokens a second, whatever is claimed or was measured. */
const SLOWEST = 0.01;
const FASTEST = 1e6;
/** Below this a candidate is no more avoided: it fails nearly always either way. */
const LEAST_SUCCESS = 0.05;
/** Estimates that differ by no more than this part are a tie: they are not that exact. */
const NEAR = 0.1;
/** So are those that differ by no more than this, in milliseconds. */
const NEAR_MS = 5;
/** A candidate with more to do than so many times the mean, and two requests, is too busy for its cache to matter. */
const BUSY_FACTOR = 1.5;
const BUSY_MORE = 2;

/**
 * Milliseconds until the whole answer would be here: wait for a slot, load where it is cold, read what of the prompt is
 * not in its cache, write, and the network; the longer, the less reliable the candidate is. Pure, finite, at least 0.
 */
export function estimateMs(candidate: Candidate, demand: Demand): number {
  const cached = demand.cachedTokens?.(candidate.key) ?? 0;
  return estimateWith(candidate, demand, cached);
}

function estimateWith(candidate: Candidate, demand: Demand, cached: number): number {
  const { loaded, loadMs, roundTripMs, successRate } = candidate;
  const prompt = rate(candidate.promptRate, UNKNOWN_PROMPT_RATE);
  const generation = rate(candidate.generationRate, UNKNOWN_GENERATION_RATE);
  const { promptTokens, answerTokens, typical = demand } = demand;
  const position = positionOf(candidate);
  const wait = position === 0
    ? 0
    : position / Math.max(1, candidate.slots) * (typical.promptTokens / prompt + typical.answerTokens / generation);
  // The last token of a prompt is always read: without it there is nothing to go on from.
  const read = Math.max(1, promptTokens - cached) / prompt;
  const load = loaded ? 0 : loadMs ?? UNKNOWN_LOAD_MS;
  const network = roundTripMs < Infinity ? roundTripMs : UNKNOWN_ROUND_TRIP_MS;
  const ms = 1_000 * (wait + read + answerTokens / generation) + load + network;
  return ms / Math.max(LEAST_SUCCESS, successRate);
}

/** How many have to end there before a request of ours would begin; 0 where a slot is free. */
function positionOf({ inFlight, slots, queued, free = slots }: Candidate): number {
  if (queued === 0 && free > 0 && inFlight < slots) return 0;
  return Math.max(queued, inFlight - slots) + 1;
}

function rate(known: number | null, unknown: number): number {
  return known === null ? unknown : Math.min(FASTEST, Math.max(SLOWEST, known));
}

interface Estimated<T> {
  readonly candidate: T;
  readonly ms: number;
  readonly cached: number;
}

/**
 * Orders candidates, best first: by {@linkcode estimateMs}. Among near ties the one comes first that has most of the prompt
 * in its cache, then this node itself (nothing leaves the house without need; also where it is free and was not measured
 * yet), then the better of two that `random`
 * chooses: where all choose the very best, all choose the same one at once. A cache does not count where its node has much
 * more to do than the others. Pure but for `random`; stable.
 */
export function rank<T extends Candidate>(candidates: readonly T[], demand: Demand): T[] {
  const most = demand.cachedTokens === undefined ? 0 : BUSY_FACTOR * meanLoad(candidates) + BUSY_MORE;
  const all = candidates.map((candidate): Estimated<T> => {
    const useful = demand.cachedTokens !== undefined && loadOf(candidate) <= most;
    const cached = useful ? demand.cachedTokens?.(candidate.key) ?? 0 : 0;
    return { candidate, cached, ms: estimateWith(candidate, demand, cached) };
  });
  all.sort((a, b) => a.ms - b.ms || Number(b.candidate.local) - Number(a.candidate.local));
  const first = firstOf(all, demand);
  if (first > 0) all.unshift(...all.splice(first, 1));
  return all.map(({ candidate }) => candidate);
}

/** Which of the near ties at the beginning is asked first. */
function firstOf<T extends Candidate>(sorted: readonly Estimated<T>[], { random }: Demand): number {
  const untried = sorted.findIndex(({ candidate }) => candidate.local && isUntried(candidate));
  if (untried >= 0) return untried;
  const best = sorted[0]?.ms ?? 0;
  let ties = 1;
  while (ties < sorted.length && (sorted[ties]?.ms ?? 0) <= Math.max(best * (1 + NEAR), best + NEAR_MS)) ties++;
  if (ties === 1) return 0;
  const near = sorted.slice(0, ties);
  const cached = Math.max(...near.map((each) => each.cached));
  if (cached > 0) return near.findIndex((each) => each.cached === cached);
  const home = near.findIndex(({ candidate }) => candidate.local);
  if (home >= 0) return home;
  if (random === undefined) return 0;
  const one = Math.floor(random() * ties);
  const other = (one + 1 + Math.floor(random() * (ties - 1))) % ties;
  return pressure(near[one]) < pressure(near[other]) || (pressure(near[one]) === pressure(near[other]) && one < other)
    ? one
    : other;
}

/** What this node can do itself is never learnt where it is not tried; a peer says it, or is tried when others are busy. */
function isUntried(candidate: Candidate): boolean {
  const { promptRate, generationRate, loaded, loadMs } = candidate;
  const unknown = promptRate === null || generationRate === null || (!loaded && loadMs === null);
  return unknown && positionOf(candidate) === 0;
}

/** The estimate, and worse where more of the slots are taken: what runs side by side slows each other. */
function pressure(each: Estimated<Candidate> | undefined): number {
  if (each === undefined) return Infinity;
  const { ms, candidate } = each;
  return ms * (loadOf(candidate) + 1) / Math.max(1, candidate.slots);
}

function loadOf({ inFlight, queued, slots, free }: Candidate): number {
  return Math.max(inFlight, free === undefined ? 0 : slots - free) + queued;
}

function meanLoad(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, each) => sum + loadOf(each), 0) / Math.max(1, candidates.length);
}
