import { type Outcome, simulate } from "./simulate.ts";

/** How fast the three machines are, the slowest one first: that of the report that a machine 5.6 times slower was chosen. */
export const SPEEDS = [1, 2, 5.6];

/** Part of the answers of each of three machines of these speeds, and what came of it. */
export function threeSpeeds(
  { picker, load, seed }: { picker: string; load: number; seed: number },
): { shares: number[]; outcome: Outcome } {
  const outcome = simulate({
    picker,
    load,
    seed,
    nodes: SPEEDS.length,
    gateways: 1,
    seconds: 4_000,
    churn: 0,
    shape(node) {
      const speed = SPEEDS[node.index] ?? 1;
      node.generationRate = 10 * speed;
      node.promptRate = 250 * speed;
      node.boast = 1;
      node.slots = 2;
      node.loaded = true;
      node.roundTripMs = 2;
    },
  });
  const all = outcome.answers.reduce((sum, count) => sum + count, 0);
  return { shares: outcome.answers.map((count) => count / all), outcome };
}
