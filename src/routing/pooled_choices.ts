import type { ModelRef } from "@ark/node/protocol";
import { CandidatePool } from "./candidate_pool.ts";
import type { Choice, Choices } from "./choices.ts";
import { loadSince } from "./claims.ts";
import type { Demand } from "./rank.ts";

/** Options of {@linkcode PooledChoices}. */
export interface PooledChoicesOptions {
  /** Looks at all who have a model. */
  choices: Pick<Choices, "of">;
  /** Whether one may still be asked: the pool is as old as `everyMs`, a revocation counts at once. */
  mayAsk(choice: Choice): boolean;
  /** As few as this are looked at one by one for each request. @default {300} */
  few?: number;
  /** How long what was seen of many is used, in milliseconds. @default {500} */
  everyMs?: number;
  /** Monotonic time in milliseconds. @default {performance.now} */
  clock?: () => number;
}

interface Pool {
  readonly pool: CandidatePool<Choice>;
  /** This node and upstream servers: never left out, since there are few. */
  readonly near: readonly string[];
  /** When it is filled anew. */
  readonly until: number;
}

/** So many times as long as a look at all takes it is used at least: no more than 1/20 of the time goes into that. */
const LEAST_USE = 20;
/** And no longer than this, in milliseconds. */
const MOST_MS = 10_000;

/** Models for which there may be a pool. */
const MOST_MODELS = 16;

/**
 * Who could answer a request. Where few have the model, all of them; where very many have it, some of the best out of a
 * {@linkcode CandidatePool}, which is filled anew a few times a second as long as it is asked for, and more rarely where that takes
 * long.
 */
export class PooledChoices {
  readonly #options: Required<PooledChoicesOptions>;
  readonly #pools = new Map<ModelRef, Pool>();

  /** Keeps no pool yet. */
  constructor(options: PooledChoicesOptions) {
    this.#options = { few: 300, everyMs: 500, clock: () => performance.now(), ...options };
  }

  /** Those who are worth a look for a demand, in no order; where there are very many, those of them who are `wanted`. */
  of(
    model: ModelRef,
    { localOnly, demand, wanted }: { localOnly: boolean; demand: Demand; wanted?: (choice: Choice) => boolean },
  ): Choice[] {
    const { choices, mayAsk, few, clock } = this.#options;
    if (localOnly) return choices.of(model, { localOnly });
    let known = this.#pools.get(model);
    const began = clock();
    if (known === undefined || began > known.until) {
      this.#pools.delete(model);
      const all = choices.of(model);
      if (all.length <= few) return all;
      known = this.#fill(model, all, { began });
    }
    const { pool, near } = known;
    const permits = wanted === undefined ? mayAsk : (choice: Choice) => wanted(choice) && mayAsk(choice);
    return pool.pick(demand, { also: [...near, ...demand.cachedBy ?? []], permits });
  }

  /** One was asked: what comes next must not choose it as if it had nothing to do. */
  asked({ key }: Choice): void {
    for (const { pool } of this.#pools.values()) {
      const before = pool.get(key);
      if (before === undefined) continue;
      const { free, queued, inFlight } = before;
      const load = free === undefined ? {} : loadSince({ free, queued }, 1);
      pool.set({ ...before, inFlight: inFlight + 1, ...load });
    }
  }

  #fill(model: ModelRef, all: readonly Choice[], { began }: { began: number }): Pool {
    const { clock, everyMs } = this.#options;
    const [oldest] = this.#pools.keys();
    if (this.#pools.size >= MOST_MODELS && oldest !== undefined) this.#pools.delete(oldest);
    const pool = new CandidatePool<Choice>();
    for (const choice of all) pool.set(choice);
    const near = all.filter(({ peer }) => peer === null).map(({ key }) => key);
    const now = clock();
    const known = { pool, near, until: now + Math.min(MOST_MS, Math.max(everyMs, LEAST_USE * (now - began))) };
    this.#pools.set(model, known);
    return known;
  }
}
