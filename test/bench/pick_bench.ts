// deno-lint-ignore-file no-console
import { type Candidate, CandidatePool, type Demand, estimateMs } from "@ark/node/routing";

const COUNTS = [100, 10_000, 1_000_000];
const WARM_UP = 20_000;
const PICKS = 50_000;
/** Numbers of nodes that change between two picks: more than a picked one's own two. */
const CHANGES = 4;
/** How often a pick is compared with the best of all. */
const COMPARED = 20;

/** Picking the best of 100 to 1,000,000 nodes that offer a model, while their numbers change. */
export function pickBench(): Promise<void> {
  console.log("\nPick: the best of N nodes; each pick is timed by itself, and 5 nodes change between two picks.");
  console.log("Goal: p99 at most 10 µs among 10,000 and 20 µs among 1,000,000.");
  console.log("     nodes  pick p50     p99    p99.9  change p50     p99   a scan   above the best estimate, mean");
  for (const count of COUNTS) measure(count);
  return Promise.resolve();
}

function measure(count: number): void {
  const pool = new CandidatePool<Candidate>();
  const all = Array.from({ length: count }, (_, index) => node(index));
  for (const one of all) pool.set(one);
  const picks = new Float64Array(PICKS);
  const changes = new Float64Array(PICKS * CHANGES);
  for (let round = -WARM_UP; round < PICKS; round++) {
    for (let index = 0; index < CHANGES; index++) {
      const place = Math.floor(Math.random() * count);
      const changed = changedNode(all[place] ?? node(0));
      const began = performance.now();
      pool.set(changed);
      if (round >= 0) changes[round * CHANGES + index] = performance.now() - began;
      all[place] = changed;
    }
    const demand = demandOf();
    const began = performance.now();
    const [best] = pool.pick(demand);
    if (round >= 0) picks[round] = performance.now() - began;
    // What was picked has more to do now, as in the router.
    if (best !== undefined) pool.set({ ...best, inFlight: Math.min(8, best.inFlight + 1) });
  }
  const compared = compare(pool, all);
  const [middle, high, highest] = [0.5, 0.99, 0.999].map((part) => micros(picks, part));
  const row = [middle, high, highest, micros(changes, 0.5), micros(changes, 0.99)].join(" ");
  const worse = `${(100 * compared.worse).toFixed(1)} %`;
  console.log(
    `${count.toLocaleString("en").padStart(10)} ${row} ${compared.scanMs.toFixed(2).padStart(6)} ms   ${worse}`,
  );
}

/** What a scan of all takes, and by how much its best is better than what the pool picks. */
function compare(pool: CandidatePool<Candidate>, all: readonly Candidate[]): { scanMs: number; worse: number } {
  let [scanMs, worse] = [0, 0];
  for (let round = 0; round < COMPARED; round++) {
    const demand = demandOf();
    const began = performance.now();
    let best = Infinity;
    for (const { key } of all) best = Math.min(best, estimateMs(pool.get(key) ?? node(0), demand));
    scanMs += (performance.now() - began) / COMPARED;
    const [picked] = pool.pick(demand);
    if (picked !== undefined) worse += (estimateMs(picked, demand) / best - 1) / COMPARED;
  }
  return { scanMs, worse };
}

function micros(samples: Float64Array, part: number): string {
  const sorted = samples.toSorted();
  const value = 1_000 * (sorted[Math.floor(part * sorted.length)] ?? 0);
  return `${value.toFixed(1)} µs`.padStart(8);
}

function demandOf(): Demand {
  const promptTokens = Math.round(64 * 100 ** Math.random());
  return { promptTokens, answerTokens: Math.round(32 * 30 ** Math.random()), typical: TYPICAL };
}

const TYPICAL = { promptTokens: 512, answerTokens: 256 };

/** One of nodes whose speeds spread over 10 times. */
function node(index: number): Candidate {
  const speed = 10 ** Math.random();
  return {
    key: `node ${index}`,
    name: "",
    local: false,
    loaded: Math.random() < 0.8,
    inFlight: 0,
    slots: 1 + Math.floor(4 * Math.random()),
    queued: Math.random() < 0.3 ? Math.floor(4 * Math.random()) : 0,
    roundTripMs: 40 * Math.random(),
    promptRate: 150 * speed,
    generationRate: 6 * speed,
    loadMs: 1_000 + 9_000 * Math.random(),
    successRate: 0.8 + 0.2 * Math.random(),
  };
}

/** It has another queue, another speed or another reliability. */
function changedNode(before: Candidate): Candidate {
  const { queued, promptRate, generationRate, successRate } = node(0);
  const kind = Math.random();
  if (kind < 0.6) return { ...before, queued };
  return kind < 0.8 ? { ...before, promptRate, generationRate } : { ...before, successRate };
}
