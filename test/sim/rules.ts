import { Observations } from "@ark/node/routing";
import { HedgeBudget, hedgeDelayMs } from "../../src/routing/hedging.ts";
import { LinkGaps } from "../../src/routing/link_gaps.ts";
import { StallRule } from "../../src/routing/stall_rule.ts";
import { Random } from "./random.ts";

/** What the stall rule made of many streams. */
export interface StallOutcome {
  /** Part of the healthy streams that failed over for nothing. */
  readonly spurious: number;
  /** Silence until a dead peer's stream failed over, in milliseconds, in order. */
  readonly gaps: Float64Array;
}

/** Tokens a second, and what makes them late: as in compute.md C3. */
const STREAM = { rate: 40, jitter: 0.25, hiccup: 0.002, hiccupMs: 150, tokens: 300, death: 1 / 6_000 };

/** The product's stall rule, or a fixed time in milliseconds, over many streams of which one in twenty dies. */
export function stalls(
  { streams, seed, setting }: { streams: number; seed: number; setting: "auto" | number },
): StallOutcome {
  const random = new Random(seed);
  const usual = 1_000 / STREAM.rate;
  const gaps: number[] = [];
  // All on one link, one after the other.
  let now = 0;
  const link = new LinkGaps({ clock: () => now }).of("peer");
  let [healthy, spurious] = [0, 0];
  for (let stream = 0; stream < streams; stream++) {
    const rule = new StallRule({ setting, link });
    let [dead, over] = [false, false];
    for (let token = 1; token < STREAM.tokens && !dead; token++) {
      dead = random.next() < STREAM.death;
      if (dead) {
        gaps.push(rule.thresholdMs);
        break;
      }
      const late = random.next() < STREAM.hiccup ? random.exponential(STREAM.hiccupMs) : 0;
      const ms = Math.max(0, usual * (1 + STREAM.jitter * random.normal())) + late;
      now += ms;
      over ||= ms > rule.thresholdMs;
      rule.note(ms);
    }
    if (!dead) healthy++;
    if (over) spurious++;
  }
  return { spurious: spurious / healthy, gaps: Float64Array.from(gaps).sort() };
}

/** What hedging made of many requests. */
export interface HedgeOutcome {
  /** Milliseconds to the first token, in order. */
  readonly times: Float64Array;
  /** Prompts that were read twice, as part of all. */
  readonly extra: number;
  /** The most of them in any 100 requests in a row. */
  readonly mostOf100: number;
}

/** First tokens as in compute.md C2: some stragglers, and a few peers that never answer. */
const FIRST = { median: 400, sigma: 0.35, straggling: 0.04, straggleMs: 3_000, dead: 0.005, deadMs: 30_000 };

/** The product's hedging, driven by what its own observations say is late; `off` asks nobody else. */
export function hedges({ requests, seed, off }: { requests: number; seed: number; off: boolean }): HedgeOutcome {
  const random = new Random(seed);
  const budget = new HedgeBudget();
  let now = 0;
  const observations = new Observations({ clock: () => now });
  const times: number[] = [];
  const hedged: number[] = [];
  const idle = [{ inFlight: 1, queued: 0, slots: 4 }];
  for (let request = 0; request < requests; request++) {
    budget.asked();
    const alone = firstToken(random);
    const p95Ms = observations.of("peer", "m").firstTokenP95Ms;
    const delay = hedgeDelayMs({ p95Ms, expectedMs: FIRST.median, loadMs: 0 });
    const beside = !off && alone > delay && budget.take(idle);
    const ms = beside ? Math.min(alone, delay + firstToken(random)) : alone;
    if (beside) hedged.push(request);
    times.push(ms);
    const observation = observations.begin("peer", "m", { promptTokens: 100 });
    // What was stopped because another one led says only that it was later than that.
    now += Math.min(alone, ms);
    observation.firstToken();
    observation.end("ok");
  }
  const most = hedged.map((request, index) => {
    let last = index;
    while ((hedged[last + 1] ?? Infinity) < request + 100) last++;
    return last - index + 1;
  });
  return {
    times: Float64Array.from(times).sort(),
    extra: hedged.length / requests,
    mostOf100: most.reduce((all, count) => Math.max(all, count), 0),
  };
}

function firstToken(random: Random): number {
  if (random.next() < FIRST.dead) return FIRST.deadMs;
  const straggles = random.next() < FIRST.straggling ? random.exponential(FIRST.straggleMs) : 0;
  return random.logNormal(FIRST.median, FIRST.sigma) + straggles;
}
