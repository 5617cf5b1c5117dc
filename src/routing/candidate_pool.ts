import {
  type Candidate,
  crowdOf,
  type Demand,
  type Estimated,
  estimateOf,
  isUntried,
  loadOf,
  ordered,
  termsOf,
  usefulCache,
  type Work,
} from "./rank.ts";
import { Shelf } from "./shelf.ts";

/** Options of {@linkcode CandidatePool}. */
export interface CandidatePoolOptions {
  /** Uniform in [0, 1). @default {Math.random} */
  random?: () => number;
  /** What a request usually is, for how long the requests of others keep a candidate. @default {512 and 256 tokens} */
  typical?: Work;
  /** How many of the best are looked at for a pick. @default {8} */
  sample?: number;
}

/** What else a pick has to heed. */
export interface PickOptions<T> {
  /** These are looked at in any case: this node itself, and who has the prompt in its cache. */
  also?: Iterable<string>;
  /** Only such candidates are wanted. What is refused is replaced by the next best, within four times the sample. */
  permits?(candidate: T): boolean;
}

/** The work for which candidates are kept in order: a demand is near to one of them. */
const SHELVES: readonly Work[] = [128, 1_024, 8_192].flatMap((promptTokens) =>
  [64, 512].map((answerTokens) => ({ promptTokens, answerTokens }))
);
/** They are chosen out of the best part of all: whoever else picks now has not seen yet what we pick. */
const SHARE = 0.12;
const TYPICAL: Work = { promptTokens: 512, answerTokens: 256 };
const SAMPLE = 8;
/** How many more are looked at where some are not wanted. */
const PATIENCE = 4;
/** Numbers of a candidate, side by side: one line of the processor's cache. */
const STRIDE = 8;
const TURNS = 0;
const READ = 1;
const WRITE = 2;
const FIXED = 3;
const RETRIES = 4;
const LOAD = 5;
const CROWD = 6;
const FLAGS = 7;
const LOCAL = 1;
const UNTRIED = 2;

/**
 * Any number of candidates for one model, kept in order while their numbers change, so that a pick looks at a few of the
 * best and not at all: it takes as long among a million as among a hundred. The order is that of buckets of estimates, for
 * six kinds of demand; who is in the same bucket is chosen by chance, and what was chosen is put in order by `rank()`
 * with the demand itself.
 */
export class CandidatePool<T extends Candidate> {
  readonly #random: () => number;
  readonly #sample: number;
  readonly #places = new Map<string, number>();
  readonly #candidates: T[] = [];
  /** The numbers of each place, `STRIDE` side by side: to read a candidate itself would cost ten times as much. */
  #numbers = new Float64Array(64 * STRIDE);
  readonly #shelves: readonly { readonly demand: Demand; readonly shelf: Shelf }[];
  #load = 0;

  /** Makes an empty pool. */
  constructor({ random = Math.random, typical = TYPICAL, sample = SAMPLE }: CandidatePoolOptions = {}) {
    this.#random = random;
    this.#sample = sample;
    this.#shelves = SHELVES.map((work) => ({ demand: { ...work, typical }, shelf: new Shelf() }));
  }

  /** How many there are. */
  get size(): number {
    return this.#candidates.length;
  }

  /** The one with a key, as it was put in last. */
  get(key: string): T | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#candidates[place];
  }

  /** Puts one in, in place of what was there under its key. */
  set(candidate: T): void {
    let place = this.#places.get(candidate.key);
    if (place === undefined) {
      place = this.#candidates.length;
      this.#places.set(candidate.key, place);
      this.#candidates.push(candidate);
      this.#grow();
    } else {
      this.#load -= this.#numbers[place * STRIDE + LOAD] ?? 0;
      this.#candidates[place] = candidate;
    }
    const terms = termsOf(candidate);
    const load = loadOf(candidate);
    const flags = (candidate.local ? LOCAL : 0) + (isUntried(candidate) ? UNTRIED : 0);
    const numbers = this.#numbers;
    const at = place * STRIDE;
    numbers[at + TURNS] = terms.turns;
    numbers[at + READ] = terms.readMs;
    numbers[at + WRITE] = terms.writeMs;
    numbers[at + FIXED] = terms.fixedMs;
    numbers[at + RETRIES] = terms.retries;
    numbers[at + LOAD] = load;
    numbers[at + CROWD] = crowdOf(candidate, load);
    numbers[at + FLAGS] = flags;
    this.#load += load;
    for (const { demand, shelf } of this.#shelves) shelf.put(place, estimateOf(terms, demand, 0));
  }

  /** Takes the one with a key out; false where there is none. */
  delete(key: string): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    const numbers = this.#numbers;
    this.#load -= numbers[place * STRIDE + LOAD] ?? 0;
    this.#places.delete(key);
    for (const { shelf } of this.#shelves) shelf.remove(place);
    const last = this.#candidates.pop();
    const end = this.#candidates.length;
    if (place === end || last === undefined) return true;
    // The last one moves into the gap, so that places stay without holes.
    this.#candidates[place] = last;
    this.#places.set(last.key, place);
    numbers.copyWithin(place * STRIDE, end * STRIDE, (end + 1) * STRIDE);
    for (const { shelf } of this.#shelves) shelf.rename(end, place);
    return true;
  }

  /** The best for a demand, best first: at most as many as are looked at, and those of `also`. */
  pick(demand: Demand, { also, permits }: PickOptions<T> = {}): T[] {
    const random = demand.random ?? this.#random;
    const mean = demand.meanLoad ?? this.#load / Math.max(1, this.size);
    const most = permits === undefined ? this.#sample : PATIENCE * this.#sample;
    const found: Estimated<T>[] = [];
    for (const place of this.#shelfFor(demand).best(most, { among: Math.max(most, SHARE * this.size), random })) {
      const candidate = this.#candidates[place];
      if (candidate === undefined || permits?.(candidate) === false) continue;
      if (found.push(this.#estimated(place, candidate, { demand, mean })) === this.#sample) break;
    }
    for (const key of also ?? NOBODY) {
      const place = this.#places.get(key);
      const candidate = place === undefined ? undefined : this.#candidates[place];
      if (place === undefined || candidate === undefined || permits?.(candidate) === false) continue;
      if (!found.some((one) => one.candidate === candidate)) {
        found.push(this.#estimated(place, candidate, { demand, mean }));
      }
    }
    return ordered(found, { random }).map(({ candidate }) => candidate);
  }

  #estimated(place: number, candidate: T, { demand, mean }: { demand: Demand; mean: number }): Estimated<T> {
    const numbers = this.#numbers;
    const at = place * STRIDE;
    const load = numbers[at + LOAD] ?? 0;
    const cached = demand.cachedTokens === undefined ? 0 : usefulCache(candidate.key, demand, { load, mean });
    const terms = {
      turns: numbers[at + TURNS] ?? 0,
      readMs: numbers[at + READ] ?? 0,
      writeMs: numbers[at + WRITE] ?? 0,
      fixedMs: numbers[at + FIXED] ?? 0,
      retries: numbers[at + RETRIES] ?? 1,
    };
    const flags = numbers[at + FLAGS] ?? 0;
    return {
      candidate,
      ms: estimateOf(terms, demand, cached),
      cached,
      crowd: numbers[at + CROWD] ?? 1,
      local: (flags & LOCAL) !== 0,
      untried: (flags & UNTRIED) !== 0,
    };
  }

  #grow(): void {
    if (this.#candidates.length * STRIDE <= this.#numbers.length) return;
    const larger = new Float64Array(2 * this.#numbers.length);
    larger.set(this.#numbers);
    this.#numbers = larger;
  }

  #shelfFor({ promptTokens, answerTokens }: Work): Shelf {
    const prompt = promptTokens < 362 ? 0 : promptTokens < 2_896 ? 1 : 2;
    const answer = answerTokens < 181 ? 0 : 1;
    const { shelf } = this.#shelves[2 * prompt + answer] ?? NO_SHELF;
    return shelf;
  }
}

const NO_SHELF = { shelf: new Shelf() };
const NOBODY: readonly string[] = [];
