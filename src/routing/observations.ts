import type { ErrorCode } from "@ark/node/protocol";
import type { Claim } from "./claims.ts";
import { Decayed } from "./decayed.ts";
import { PeakEwma } from "./peak_ewma.ts";
import { RecentTimes } from "./recent_times.ts";

/** What was observed of one that answers, for one model. */
export interface Observed {
  /** Tokens of a prompt read in a second, or null. */
  readonly promptRate: number | null;
  /** Tokens of one answer written in a second, or null. */
  readonly generationRate: number | null;
  /** What 95 of 100 first tokens came within, in milliseconds; null where too few were seen. */
  readonly firstTokenP95Ms: number | null;
  /** Mean time between two tokens in milliseconds, or null. */
  readonly itlMs: number | null;
  /** Mean deviation of that in milliseconds, or null. */
  readonly itlDeviationMs: number | null;
  /** How many of its answers came to their end lately: 0 to 1, and near 1 where nothing is known. */
  readonly successRate: number;
  /** Answers that were seen. */
  readonly samples: number;
  /** Milliseconds since the last answer; infinite where there was none. */
  readonly ageMs: number;
}

/** What is known of a request before it is sent. */
export interface Asked {
  /** Tokens of the prompt, as far as they are known. */
  readonly promptTokens: number;
  /** Of them, in the cache of the one who is asked. */
  readonly cachedTokens?: number;
  /** Round trip in milliseconds, which is no time of reading. */
  readonly roundTripMs?: number;
  /** Whether it had to wait or to load first: then the time to the first token says nothing about reading. */
  readonly waits?: boolean;
  /** Within how many milliseconds the first token is expected. */
  readonly expectedMs?: number;
  /** What it claims of its speed. */
  readonly claim?: Claim;
}

/** One answer that is observed. All methods may be called at any time; what comes after `end` is ignored. */
export interface Observation {
  /** The one who was asked began with this request: it had its turn and read how long the prompt is. */
  started(promptTokens?: number): void;
  /** The first token came; `tokens` tells it too. */
  firstToken(): void;
  /** So many tokens came, at a time of the clock, or now. */
  tokens(count: number, at?: number): void;
  /** The answer ended, or what failed. */
  end(outcome: "ok" | ErrorCode): void;
}

/** What happened, once an answer that was observed has ended. */
export interface Ended {
  /** Who answered. */
  readonly key: string;
  /** Which model. */
  readonly model: string;
  /** How it ended. */
  readonly outcome: "ok" | ErrorCode;
  /** Whether a token had come before. */
  readonly began: boolean;
  /** Milliseconds to the first token, or null. */
  readonly firstTokenMs: number | null;
  /** Tokens of the prompt read in a second, or null where this answer does not tell. */
  readonly promptRate: number | null;
  /** Tokens written in a second, or null where this answer does not tell. */
  readonly generationRate: number | null;
  /** Whether the first token came later than in twice the time that was expected; null where nothing was. */
  readonly late: boolean | null;
  /** What it had claimed, or null. */
  readonly claim: Claim | null;
}

/** Options of {@linkcode Observations}. */
export interface ObservationsOptions {
  /** Monotonic time in milliseconds. @default {performance.now} */
  clock?: () => number;
  /** Most pairs of key and model that are remembered; the one that was not used for longest is forgotten. @default {4096} */
  most?: number;
  /** Told of each answer that ended, and says something about the one who was asked. */
  ended?: (ended: Ended) => void;
}

interface Entry {
  readonly key: string;
  readonly model: string;
  /** Milliseconds to read a token, and to write one. */
  readonly prompt: PeakEwma;
  readonly generation: PeakEwma;
  readonly firstTokens: RecentTimes;
  itlMs: number | null;
  itlDeviationMs: number;
  readonly good: Decayed;
  readonly all: Decayed;
  samples: number;
  lastAt: number;
  /** Whether it was forgotten. */
  gone: boolean;
}

/** These say something about the request or our standing, and nothing about how well the one who was asked works. */
const NEUTRAL: ReadonlySet<string> = new Set<ErrorCode>([
  "bad_request",
  "context_exceeded",
  "too_large",
  "busy",
  "cancelled",
  "forbidden",
  "model_not_shared",
  "model_not_found",
  "revoked",
  "clock",
  "replay",
  "unauthenticated",
  "audit_unavailable",
]);

/** A prompt that is shorter says more about the way than about reading. */
const LEAST_PROMPT = 32;
/** An answer that is shorter tells no speed. */
const LEAST_ANSWER = 4;
/** As if so many answers had ended well before the first. */
const PRIOR = 2;
/** Half of what was seen of success is forgotten after so long, in milliseconds. */
const HALF_LIFE_MS = 120_000;
/** The smoothing of TCP's round trips: 1/8 for the mean, 1/4 for the deviation. */
const ITL_WEIGHT = 1 / 8;
const DEVIATION_WEIGHT = 1 / 4;

/** Whether an outcome says how well the one who was asked works. */
export function isTelling(outcome: "ok" | ErrorCode): boolean {
  return !NEUTRAL.has(outcome);
}

/** What this node saw itself of all who answered it, in memory and bounded. */
export class Observations {
  readonly #clock: () => number;
  readonly #most: number;
  readonly #ended: (ended: Ended) => void;
  /** The one that was used last comes last. */
  readonly #entries = new Map<string, Entry>();

  /** Makes one that has seen nothing. */
  constructor({ clock = () => performance.now(), most = 4_096, ended = () => {} }: ObservationsOptions = {}) {
    this.#clock = clock;
    this.#most = most;
    this.#ended = ended;
  }

  /** Observes an answer from now on. */
  begin(key: string, model: string, asked: Asked): Observation {
    const clock = this.#clock;
    const began = clock();
    let startedAt: number | null = null;
    let firstAt: number | null = null;
    let lastAt = began;
    let prompt = asked.promptTokens;
    let written = 0;
    let open = true;
    let entry: Entry | null = null;
    const take = (count: number, now: number) => {
      // Looked up once, and not for each token: it counts as used when an answer begins and when it ends.
      if (entry === null || entry.gone) entry = this.#entry(key, model);
      if (firstAt === null) {
        firstAt = now;
        entry.firstTokens.add(now - began, now);
      } else if (count > 0) noteGap(entry, (now - lastAt) / count);
      lastAt = now;
      written += count;
    };
    return {
      started: (promptTokens) => {
        if (!open || startedAt !== null || firstAt !== null) return;
        startedAt = clock();
        if (promptTokens !== undefined) prompt = promptTokens;
      },
      firstToken: () => {
        if (open && firstAt === null) take(0, clock());
      },
      tokens: (count, at) => {
        if (open && count > 0) take(count, at ?? clock());
      },
      end: (outcome) => {
        if (!open) return;
        open = false;
        const uncached = prompt - (asked.cachedTokens ?? 0);
        const from = startedAt ?? (asked.waits === true ? null : began + (asked.roundTripMs ?? 0));
        const reading = firstAt === null || from === null || uncached < LEAST_PROMPT ? null : firstAt - from;
        const writing = firstAt === null || written < LEAST_ANSWER ? null : lastAt - firstAt;
        this.#end({
          key,
          model,
          outcome,
          began: firstAt !== null,
          firstTokenMs: firstAt === null ? null : firstAt - began,
          promptRate: perSecond(uncached, reading),
          generationRate: perSecond(written - 1, writing),
          late: asked.expectedMs === undefined || firstAt === null ? null : firstAt - began > 2 * asked.expectedMs,
          claim: asked.claim ?? null,
        });
      },
    };
  }

  /** What was seen of one for a model; its success of late, whatever the model, where there was none of this model. */
  of(key: string, model: string): Observed {
    const now = this.#clock();
    const entry = this.#entries.get(nameOf(key, model));
    if (entry === undefined) return NOTHING;
    return {
      promptRate: entry.prompt.value === null ? null : 1_000 / entry.prompt.value,
      generationRate: entry.generation.value === null ? null : 1_000 / entry.generation.value,
      firstTokenP95Ms: entry.firstTokens.p95(now),
      itlMs: entry.itlMs,
      itlDeviationMs: entry.itlMs === null ? null : entry.itlDeviationMs,
      successRate: (entry.good.at(now) + PRIOR) / (entry.all.at(now) + PRIOR),
      samples: entry.samples,
      ageMs: now - entry.lastAt,
    };
  }

  /** Forgets what was seen of one, for all models. */
  reset(key: string): void {
    for (const [name, entry] of this.#entries) if (entry.key === key) this.#forget(name);
  }

  /** All that was seen, the one that was used last comes last. */
  list(): { key: string; model: string; observed: Observed }[] {
    return [...this.#entries.values()].map(({ key, model }) => ({ key, model, observed: this.of(key, model) }));
  }

  #end(ended: Ended): void {
    const { key, model, outcome, promptRate, generationRate } = ended;
    const now = this.#clock();
    const entry = this.#entry(key, model);
    if (promptRate !== null) entry.prompt.add(1_000 / promptRate, now);
    if (generationRate !== null) entry.generation.add(1_000 / generationRate, now);
    entry.lastAt = now;
    if (isTelling(outcome)) {
      entry.samples++;
      entry.all.add(1, now);
      if (outcome === "ok") entry.good.add(1, now);
    }
    this.#ended(ended);
  }

  #entry(key: string, model: string): Entry {
    const name = nameOf(key, model);
    let entry = this.#entries.get(name);
    if (entry !== undefined) {
      this.#entries.delete(name);
      this.#entries.set(name, entry);
      return entry;
    }
    const [oldest] = this.#entries.keys();
    if (this.#entries.size >= this.#most && oldest !== undefined) this.#forget(oldest);
    entry = {
      key,
      model,
      prompt: new PeakEwma(),
      generation: new PeakEwma(),
      firstTokens: new RecentTimes(),
      itlMs: null,
      itlDeviationMs: 0,
      good: new Decayed(HALF_LIFE_MS),
      all: new Decayed(HALF_LIFE_MS),
      samples: 0,
      lastAt: this.#clock(),
      gone: false,
    };
    this.#entries.set(name, entry);
    return entry;
  }

  #forget(name: string): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) entry.gone = true;
    this.#entries.delete(name);
  }
}

const NOTHING: Observed = Object.freeze({
  promptRate: null,
  generationRate: null,
  firstTokenP95Ms: null,
  itlMs: null,
  itlDeviationMs: null,
  successRate: 1,
  samples: 0,
  ageMs: Infinity,
});

function nameOf(key: string, model: string): string {
  return `${key}\n${model}`;
}

function perSecond(count: number, ms: number | null): number | null {
  return ms === null || ms <= 0 || count <= 0 ? null : 1_000 * count / ms;
}

function noteGap(entry: Entry, ms: number): void {
  if (entry.itlMs === null) {
    entry.itlMs = ms;
    entry.itlDeviationMs = ms / 2;
    return;
  }
  const off = ms - entry.itlMs;
  entry.itlMs += off * ITL_WEIGHT;
  entry.itlDeviationMs += (Math.abs(off) - entry.itlDeviationMs) * DEVIATION_WEIGHT;
}
