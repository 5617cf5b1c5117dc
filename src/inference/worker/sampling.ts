/** What llama.cpp takes where nothing is said. */
export const SAMPLING_DEFAULTS = { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05 } as const;

/** llama.cpp takes this seed for a wish to have a random one. */
const RANDOM_SEED = 0xffffffff;

/** The seed of a request as llama.cpp takes it, or a random one. */
export function seedOf(seed: number | undefined): number {
  const wanted = seed === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 : seed >>> 0;
  return wanted === RANDOM_SEED ? RANDOM_SEED - 1 : wanted;
}
