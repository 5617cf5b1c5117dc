/** More GPUs than any machine has. */
const MOST_GPUS = 64;
/** No GPU takes more, in watts. */
const MOST_WATTS = 10_000;

/** What `nvidia-smi` is asked for. */
export const NVIDIA_POWER_QUERY: readonly string[] = ["--query-gpu=power.draw", "--format=csv,noheader,nounits"];

/**
 * Reads what `nvidia-smi --query-gpu=power.draw --format=csv,noheader,nounits` prints: one line with watts for each GPU.
 * Returns the watts of all together, or null where one of them does not say, or where this is something else.
 */
export function parseNvidiaPower(text: string): number | null {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.length === 0 || lines.length > MOST_GPUS) return null;
  let sum = 0;
  for (const line of lines) {
    if (!/^\d{1,5}(?:\.\d{1,3})?$/.test(line) || Number(line) > MOST_WATTS) return null;
    sum += Number(line);
  }
  return sum;
}
