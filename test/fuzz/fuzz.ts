/** Runs a target: mutations of its corpus, guided by coverage at first, the same for the same seed. */
import { Coverage } from "./coverage.ts";
import { Random } from "./random.ts";
import type { FuzzTarget } from "./target.ts";

/** Options of {@linkcode fuzz}. */
export interface FuzzOptions {
  /** How many inputs. */
  inputs: number;
  /** Same seed, same inputs. */
  seed: number;
  /** How many of the inputs are chosen by coverage, which is some hundred times slower. @default {0} */
  guided?: number;
}

/** What came of it. */
export interface FuzzReport {
  inputs: number;
  /** Inputs that were accepted. */
  accepted: number;
  /** Valid inputs at the end: those of the corpus and those that reached new code. */
  corpus: number;
  seconds: number;
  /** Longest time that one input took, in milliseconds. */
  slowestMs: number;
}

/** Inputs between two looks at the coverage. */
const BATCH = 16;
const MOST_FOUND = 2_000;

/**
 * Checks a target with so many inputs.
 *
 * @throws {Error} that says seed, number and a small form of the first input that broke the promise.
 */
export async function fuzz<T>(target: FuzzTarget<T>, options: FuzzOptions): Promise<FuzzReport> {
  const { inputs, seed, guided = 0 } = options;
  await using _opened = await target.open?.() ?? null;
  const random = new Random(seed);
  const corpus = [...target.corpus];
  const report = { inputs: 0, accepted: 0, corpus: corpus.length, seconds: 0, slowestMs: 0 };
  const began = performance.now();
  const feed = async (input: T): Promise<void> => {
    const start = performance.now();
    try {
      const outcome = target.check(input);
      if (typeof outcome === "boolean" ? outcome : await outcome) report.accepted++;
    } catch (error) {
      const small = await minimised(target, input);
      const what = `Target ${target.name}, seed ${seed}, input ${report.inputs}: ${target.promise}\n${
        target.show(small)
      }`;
      throw new Error(what, { cause: error });
    }
    report.inputs++;
    report.slowestMs = Math.max(report.slowestMs, performance.now() - start);
  };
  for (const input of target.corpus) {
    await feed(input);
  }
  const next = (): T => target.mutate(random, random.pick(corpus), random.pick(corpus));
  if (guided > 0) {
    await using coverage = await Coverage.watch(target.covers);
    for (const input of target.corpus) await feed(input);
    await coverage.fresh();
    while (report.inputs < guided) {
      const batch = Array.from({ length: BATCH }, next);
      for (const input of batch) await feed(input);
      // One of them reached something new: all are worth another change.
      if (await coverage.fresh() > 0 && corpus.length < target.corpus.length + MOST_FOUND) corpus.push(...batch);
    }
  }
  while (report.inputs < inputs) await feed(next());
  return { ...report, corpus: corpus.length, seconds: (performance.now() - began) / 1_000 };
}

/** A smaller input that fails as well, where the target knows how to make one. */
async function minimised<T>(target: FuzzTarget<T>, failing: T): Promise<T> {
  let small = failing;
  for (let tries = 2_000; tries > 0;) {
    let better: T | undefined;
    for (const candidate of target.shrink?.(small) ?? []) {
      if (--tries <= 0) break;
      if (!await fails(target, candidate)) continue;
      better = candidate;
      break;
    }
    if (better === undefined) return small;
    small = better;
  }
  return small;
}

async function fails<T>(target: FuzzTarget<T>, input: T): Promise<boolean> {
  try {
    await target.check(input);
    return false;
  } catch {
    return true;
  }
}
