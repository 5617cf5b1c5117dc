import type { Claim } from "./claims.ts";
import { Decayed } from "./decayed.ts";
import { type Ended, isTelling } from "./observations.ts";

/** What one's answers and presence say of it. Everything is forgotten by and by: half of it in ten minutes. */
export interface Standing {
  /** Who. */
  readonly key: string;
  /** What to reckon with that its answers come to their end: 0 to 1, near 1 where nothing is known. */
  readonly reliability: number;
  /** How much of a claim of its own about its speed is true: 0 to 1, and 1 where it never claimed too much. */
  readonly honesty: number;
  /** How many of its answers came to their end, 0 to 1, or null where there was none. */
  readonly success: number | null;
  /** How many of the answers that it began it ended, 0 to 1, or null where there was none. */
  readonly completeness: number | null;
  /** How many of its first tokens came in twice the time that was expected, 0 to 1, or null. */
  readonly punctuality: number | null;
  /** How much of the time it was there, 0 to 1, or null where that was not watched. */
  readonly uptime: number | null;
  /** Answers that this rests on; old ones count less. */
  readonly answers: number;
}

/** The sums that a standing is made of. */
export interface ReputationRecord {
  /** Answers. */
  readonly answers: number;
  /** Answers that ended well. */
  readonly good: number;
  /** Answers that began. */
  readonly begun: number;
  /** Answers that began and ended well. */
  readonly complete: number;
  /** First tokens whose time was foretold. */
  readonly foretold: number;
  /** First tokens that came in time. */
  readonly inTime: number;
  /** Milliseconds that it was watched. */
  readonly watchedMs: number;
  /** Milliseconds of them that it was there. */
  readonly thereMs: number;
  /** Claims that were put to the test. */
  readonly claims: number;
  /** Sum of the logarithms by which they were too high. */
  readonly boasts: number;
}

/** Options of {@linkcode Reputation}. */
export interface ReputationOptions {
  /** Monotonic time in milliseconds. @default {performance.now} */
  clock?: () => number;
  /** Most who are remembered; who was heard of least recently is forgotten. @default {4096} */
  most?: number;
  /** Half of what is known is forgotten after so long, in milliseconds. @default {600000} */
  halfLifeMs?: number;
}

type Sums = { readonly [Name in keyof ReputationRecord]: Decayed };

const NAMES = [
  "answers",
  "good",
  "begun",
  "complete",
  "foretold",
  "inTime",
  "watchedMs",
  "thereMs",
  "claims",
  "boasts",
] as const satisfies readonly (keyof ReputationRecord)[];
/** As if so many answers had ended well before the first. */
const PRIOR = 3;
/** As if so many claims had been true before the first: one slow answer is no lie. */
const CLAIM_PRIOR = 2;
/** A claim that is less too high than this is true: speeds vary. */
const TOLERANCE = 1.25;
/** No more than this is made of one claim. */
const WORST = 1_000;
/** Presence matters little for one answer: at most this part is taken off. */
const ABSENCE = 0.1;

/** How far each of those who answer can be relied on, by what this node saw itself. Local: it is told to nobody. */
export class Reputation {
  readonly #clock: () => number;
  readonly #most: number;
  readonly #halfLifeMs: number;
  readonly #known = new Map<string, Sums>();

  /** Makes one that knows nobody. */
  constructor({ clock = () => performance.now(), most = 4_096, halfLifeMs = 600_000 }: ReputationOptions = {}) {
    this.#clock = clock;
    this.#most = most;
    this.#halfLifeMs = halfLifeMs;
  }

  /** Takes an answer that ended. */
  note({ key, outcome, began, late, claim, ...observed }: Ended): void {
    const now = this.#clock();
    const sums = this.#sums(key);
    if (isTelling(outcome)) {
      const good = outcome === "ok" ? 1 : 0;
      sums.answers.add(1, now);
      sums.good.add(good, now);
      if (began) {
        sums.begun.add(1, now);
        sums.complete.add(good, now);
      }
    }
    if (late !== null) {
      sums.foretold.add(1, now);
      sums.inTime.add(late ? 0 : 1, now);
    }
    for (const boast of boastsOf(claim, observed)) {
      sums.claims.add(1, now);
      sums.boasts.add(boast, now);
    }
  }

  /** Takes for how long one was watched, and whether it was there. */
  watched(key: string, { ms, there }: { ms: number; there: boolean }): void {
    const now = this.#clock();
    const sums = this.#sums(key);
    sums.watchedMs.add(ms, now);
    if (there) sums.thereMs.add(ms, now);
  }

  /** What is to be thought of one. */
  of(key: string): Standing {
    const sums = this.#known.get(key);
    if (sums === undefined) return { ...NOBODY, key };
    const now = this.#clock();
    const at = (name: keyof ReputationRecord) => sums[name].at(now);
    const answers = at("answers");
    const uptime = share(at("thereMs"), at("watchedMs"));
    const success = (at("good") + PRIOR) / (answers + PRIOR);
    return {
      key,
      reliability: success * (1 - ABSENCE * (1 - (uptime ?? 1))),
      honesty: Math.exp(-at("boasts") / (at("claims") + CLAIM_PRIOR)),
      success: share(at("good"), answers),
      completeness: share(at("complete"), at("begun")),
      punctuality: share(at("inTime"), at("foretold")),
      uptime,
      answers,
    };
  }

  /** Forgets what is known of one; false where nothing is. */
  reset(key: string): boolean {
    return this.#known.delete(key);
  }

  /** All who are known. */
  list(): Standing[] {
    return [...this.#known.keys()].map((key) => this.of(key));
  }

  /** The sums of one as they are now, or null. */
  recordOf(key: string): ReputationRecord | null {
    const sums = this.#known.get(key);
    if (sums === undefined) return null;
    const now = this.#clock();
    return Object.fromEntries(NAMES.map((name) => [name, sums[name].at(now)])) as unknown as ReputationRecord;
  }

  /** Takes sums that were written down so many milliseconds ago in place of what is known of one. */
  restore(key: string, record: ReputationRecord, ageMs: number): void {
    this.#known.delete(key);
    const sums = this.#sums(key);
    const now = this.#clock();
    const faded = 2 ** (-Math.max(0, ageMs) / this.#halfLifeMs);
    for (const name of NAMES) sums[name].add(record[name] * faded, now);
  }

  #sums(key: string): Sums {
    let sums = this.#known.get(key);
    if (sums === undefined) {
      const [oldest] = this.#known.keys();
      if (this.#known.size >= this.#most && oldest !== undefined) this.#known.delete(oldest);
      sums = Object.fromEntries(NAMES.map((name) => [name, new Decayed(this.#halfLifeMs)])) as unknown as Sums;
    } else this.#known.delete(key);
    this.#known.set(key, sums);
    return sums;
  }
}

const NOBODY: Standing = {
  key: "",
  reliability: 1,
  honesty: 1,
  success: null,
  completeness: null,
  punctuality: null,
  uptime: null,
  answers: 0,
};

/** Reads the sums of {@linkcode ReputationRecord} from any JSON value, or null where it holds no such. */
export function recordIn(value: unknown): ReputationRecord | null {
  if (typeof value !== "object" || value === null) return null;
  const fields = value as { [name: string]: unknown };
  const fits = NAMES.every((name) => {
    const number = fields[name];
    return typeof number === "number" && number >= 0 && number < 1e15;
  });
  return fits ? Object.fromEntries(NAMES.map((name) => [name, fields[name]])) as unknown as ReputationRecord : null;
}

function share(part: number, of: number): number | null {
  return of < 1e-3 ? null : Math.min(1, part / of);
}

/** By how much each claim that this answer puts to the test was too high, as logarithms; 0 where it was true. */
function boastsOf(
  claim: Claim | null,
  { promptRate, generationRate }: { [Name in keyof Claim]-?: number | null },
): number[] {
  return [[claim?.promptRate, promptRate], [claim?.generationRate, generationRate]].flatMap(([claimed, real]) => {
    if (typeof claimed !== "number" || typeof real !== "number" || !(claimed > 0)) return [];
    return claimed <= real * TOLERANCE ? [0] : [Math.log(Math.min(WORST, claimed / real))];
  });
}
