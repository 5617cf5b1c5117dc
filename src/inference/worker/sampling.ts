/** What llama.cpp takes where nothing is said. */
export const SAMPLING_DEFAULTS = { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05 } as const;

/** llama.cpp takes this seed for a wish to have a random one. */
const RANDOM_SEED = 0xffffffff;

/** Steps between the seeds of resumed answers: the golden ratio of 2^32, so that neighbours have little in common. */
const SEED_STEP = 0x9e3779b9;

/**
 * The seed of a request as llama.cpp takes it, or a random one. An answer that is gone on with after some written tokens
 * has one that follows from the request's and their number: the same seed and number always lead to the same random
 * numbers, which are others than without the interruption. (How many random numbers llama.cpp drew for the written
 * tokens depends on how many candidates there were each time, so it could not go on with the same ones.)
 */
export function seedOf(seed: number | undefined, written = 0): number {
  const wanted = seed === undefined
    ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
    : (seed + Math.imul(written, SEED_STEP)) >>> 0;
  return wanted === RANDOM_SEED ? RANDOM_SEED - 1 : wanted;
}
