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
  /** Who has any of this very prompt still in memory. */
  readonly cachedBy?: Iterable<string>;
  /** Tokens of this very prompt that a candidate has still in memory; absent: none. */
  cachedTokens?(key: string): number;
  /** Requests that a candidate has to do on average, where those that are ranked are not all; absent: theirs. */
  readonly meanLoad?: number;
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
 * Whoever comes upon a taken slot waits longer than a usual answer takes: it is more likely a long one, since lengths are
 * heavy-tailed; and those who come later wait for us. What begins at once on a slower node can go on at a faster one later. In
 * `deno task sim` more is better where thousands have the model, and less where three have it.
 */
const WAIT = 2.5;
/** So few are put in order by hand. */
const FEW = 32;

/** An estimate as the parts that do not depend on what is asked. */
export interface Terms {
  /** How many typical requests it takes until a slot is free. */
  readonly turns: number;
  /** Milliseconds to read a token. */
  readonly readMs: number;
  /** Milliseconds to write a token. */
  readonly writeMs: number;
  /** Loading and the network, in milliseconds. */
  readonly fixedMs: number;
  /** By how much the estimate grows because answers fail: at least 1. */
  readonly retries: number;
}

/** What an estimate of a candidate is made of. */
export function termsOf(candidate: Candidate): Terms {
  const { loaded, local, loadMs, roundTripMs, successRate, slots } = candidate;
  const load = loaded ? 0 : loadMs ?? UNKNOWN_LOAD_MS;
  const network = local ? 0 : roundTripMs < Infinity ? roundTripMs : UNKNOWN_ROUND_TRIP_MS;
  return {
    turns: positionOf(candidate) / Math.max(1, slots),
    readMs: 1_000 / rate(candidate.promptRate, UNKNOWN_PROMPT_RATE),
    writeMs: 1_000 / rate(candidate.generationRate, UNKNOWN_GENERATION_RATE),
    fixedMs: load + network,
    retries: 1 / Math.max(LEAST_SUCCESS, successRate),
  };
}

/**
 * Milliseconds until the whole answer would be here: wait for a slot, load where it is cold, read what of the prompt is
 * not in its cache, write, and the network; the longer, the less reliable the candidate is. Pure, finite, at least 0.
 */
export function estimateMs(candidate: Candidate, demand: Demand): number {
  return estimateOf(termsOf(candidate), demand, demand.cachedTokens?.(candidate.key) ?? 0);
}

/** The same from its parts, with so many tokens of the prompt cached. */
export function estimateOf(
  { turns, readMs, writeMs, fixedMs, retries }: Terms,
  demand: Demand,
  cached: number,
): number {
  const { promptTokens, answerTokens, typical = demand } = demand;
  const wait = WAIT * turns * (typical.promptTokens * readMs + typical.answerTokens * writeMs);
  // The last token of a prompt is always read: without it there is nothing to go on from.
  const read = Math.max(1, promptTokens - cached) * readMs;
  return (wait + read + answerTokens * writeMs + fixedMs) * retries;
}

/** How many have to end there before a request of ours would begin; 0 where a slot is free. */
function positionOf({ inFlight, slots, queued, free = slots }: Candidate): number {
  if (queued === 0 && free > 0 && inFlight < slots) return 0;
  return Math.max(queued, inFlight - slots) + 1;
}

function rate(known: number | null, unknown: number): number {
  return known === null ? unknown : Math.min(FASTEST, Math.max(SLOWEST, known));
}

/** A candidate with all that its place among others depends on. */
export interface Estimated<T> {
  /** Who. */
  readonly candidate: T;
  /** The estimate. */
  readonly ms: number;
  /** Tokens of the prompt in its cache. */
  readonly cached: number;
  /** What runs and waits there for each of its slots: what runs side by side slows each other. */
  readonly crowd: number;
  /** Whether it is this node itself. */
  readonly local: boolean;
  /** Whether it is this node itself, free, and was not measured yet. */
  readonly untried: boolean;
}

/**
 * Orders candidates, best first: by {@linkcode estimateMs}. Among near ties the one comes first that has most of the prompt
 * in its cache, then this node itself (nothing leaves the house without need; also where it is free and was not measured
 * yet), then the better of two that `random` chooses: where all choose the very best, all choose the same one at once. A
 * cache does not count where its node has much more to do than the others. Pure but for `random`; stable.
 */
export function rank<T extends Candidate>(candidates: readonly T[], demand: Demand): T[] {
  const mean = demand.meanLoad ?? meanLoad(candidates);
  const all = candidates.map((candidate): Estimated<T> => {
    const load = loadOf(candidate);
    const cached = usefulCache(candidate.key, demand, { load, mean });
    return {
      candidate,
      cached,
      ms: estimateOf(termsOf(candidate), demand, cached),
      crowd: crowdOf(candidate, load),
      local: candidate.local,
      untried: isUntried(candidate),
    };
  });
  return ordered(all, demand).map(({ candidate }) => candidate);
}

/** Puts what is estimated in order, in place. */
export function ordered<T>(all: Estimated<T>[], { random }: Pick<Demand, "random">): Estimated<T>[] {
  if (all.length > FEW) all.sort((a, b) => a.ms - b.ms);
  else sortFew(all);
  const first = firstOf(all, random);
  const chosen = all[first];
  if (first > 0 && chosen !== undefined) {
    all.copyWithin(1, 0, first);
    all[0] = chosen;
  }
  return all;
}

/** The same order as by `sort()`, which is stable too, in a third of its time. */
function sortFew(all: Estimated<unknown>[]): void {
  for (let index = 1; index < all.length; index++) {
    const one = all[index];
    if (one === undefined) return;
    let place = index;
    for (; place > 0; place--) {
      const before = all[place - 1];
      if (before === undefined || before.ms <= one.ms) break;
      all[place] = before;
    }
    all[place] = one;
  }
}

/** How much of a cache counts, at a candidate with so much to do where the others have so much on average. */
export function usefulCache(
  key: string,
  { cachedTokens }: Pick<Demand, "cachedTokens">,
  { load, mean }: { load: number; mean: number },
): number {
  return cachedTokens === undefined || load > BUSY_FACTOR * mean + BUSY_MORE ? 0 : cachedTokens(key);
}

/** Which of the near ties at the beginning is asked first. */
function firstOf(sorted: readonly Estimated<unknown>[], random: Demand["random"]): number {
  const untried = sorted.findIndex((each) => each.untried);
  if (untried >= 0) return untried;
  const best = sorted[0]?.ms ?? 0;
  const most = Math.max(best * (1 + NEAR), best + NEAR_MS);
  let [ties, cached, home] = [0, 0, -1];
  for (const each of sorted) {
    if (each.ms > most) break;
    if (each.cached > (sorted[cached]?.cached ?? 0)) cached = ties;
    if (each.local && home < 0) home = ties;
    ties++;
  }
  if ((sorted[cached]?.cached ?? 0) > 0) return cached;
  if (home >= 0) return home;
  if (random === undefined || ties < 2) return 0;
  const one = Math.floor(random() * ties);
  const other = (one + 1 + Math.floor(random() * (ties - 1))) % ties;
  const [left, right] = [pressure(sorted[one]), pressure(sorted[other])];
  return left < right || (left === right && one < other) ? one : other;
}

/** What this node can do itself is never learnt where it is not tried; a peer says it, or is tried when others are busy. */
export function isUntried(candidate: Candidate): boolean {
  const { local, promptRate, generationRate, loaded, loadMs } = candidate;
  const unknown = promptRate === null || generationRate === null || (!loaded && loadMs === null);
  return local && unknown && positionOf(candidate) === 0;
}

/** The estimate, and worse where more of the slots are taken. */
function pressure(each: Estimated<unknown> | undefined): number {
  return each === undefined ? Infinity : each.ms * each.crowd;
}

/** What runs and waits, and the request itself, for each slot. */
export function crowdOf({ slots }: Candidate, load: number): number {
  return (load + 1) / Math.max(1, slots);
}

/** Requests that run or wait there, as far as is known: ours, or what it claims. */
export function loadOf({ inFlight, queued, slots, free }: Candidate): number {
  return Math.max(inFlight, free === undefined ? 0 : slots - free) + queued;
}

function meanLoad(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, each) => sum + loadOf(each), 0) / Math.max(1, candidates.length);
}
