/** Below these a model is tiny: threads would spend their time waiting for each other. */
const TINY_PARAMETERS = 100_000_000;
const TINY_BYTES = 200 << 20;

/**
 * How many threads fit a model and a machine: one for a tiny model, else one less than the physical cores, so that the
 * node itself has a core. llama.cpp's threads spin while they wait, and more of them than cores slow each other down.
 */
export function threadsFor(
  { parameters, bytes, cores }: { parameters: number; bytes: number; cores: number },
): number {
  if (parameters < TINY_PARAMETERS || bytes < TINY_BYTES) return 1;
  return Math.max(1, Math.floor(cores) - 1);
}
