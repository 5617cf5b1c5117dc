import { Gateway } from "./gateway.ts";
import { type Picker, PICKERS } from "./pickers.ts";
import { Random } from "./random.ts";
import { FACTS, SimNode } from "./sim_node.ts";
import { Timeline } from "./timeline.ts";
import { Trip } from "./trip.ts";

/** What is simulated. */
export interface Scenario {
  /** One of {@linkcode PICKERS}. */
  readonly picker: string;
  /** Machines. */
  readonly nodes: number;
  /** Part of what they can do together that is asked of them. */
  readonly load: number;
  readonly seed: number;
  /** Gateways that share the requests. */
  readonly gateways?: number;
  /** Virtual seconds that are measured, after a quarter of that. */
  readonly seconds?: number;
  /** Part of the nodes that goes in a minute; with none, no machine becomes slower either. */
  readonly churn?: number;
  /** Whether the product's router lets requests go elsewhere. @default {true} */
  readonly moves?: boolean;
  /** Makes the nodes other than `SimNode` does, for scenes of a few. */
  readonly shape?: (node: SimNode) => void;
}

/** What came of it. */
export interface Outcome {
  /** Milliseconds until the whole answer was there, in order. */
  readonly times: Float64Array;
  /** Requests that nobody answered in five attempts. */
  readonly failed: number;
  /** Attempts that were refused, and answers that broke off and went on elsewhere. */
  readonly refused: number;
  readonly broken: number;
  /** Times that a request which waited was put into another line as well, and answers that went to a faster node. */
  readonly elsewhere: number;
  readonly moved: number;
  /** Answers of each node. */
  readonly answers: readonly number[];
}

/** Heavy tails: lognormal, cut at 32,000 and 4,096 tokens. */
const PROMPT = { median: 400, sigma: 1.2, most: 32_000, mean: 800 };
const ANSWER = { median: 150, sigma: 1, most: 4_096, mean: 246 };
/** A node is back, as another machine, after so long on average. */
const AWAY_MS = 60_000;
/** Changes are told at most so often, and heard after so long, in milliseconds. */
const PUSH_MS = 100;
/** What was asked is waited for so long after the last request. */
const AFTER_MS = 1_200_000;

/** Runs one scenario in virtual time: the same seed gives the same result. */
export function simulate(scenario: Scenario): Outcome {
  const { nodes: count, load, seed, gateways: doors = 8, seconds = 60, churn = 0.2, moves = true, shape } = scenario;
  const timeline = new Timeline();
  // Each has its own stream: what one draws changes nothing for the others, and all pickers see the same requests.
  const [changes, arrivals, lengths, delays, looks] = [1, 2, 3, 4, 5].map((stream) =>
    new Random(seed * 8 + stream)
  ) as [
    Random,
    Random,
    Random,
    Random,
    Random,
  ];
  const facts = new Float64Array(count * FACTS.stride);
  const nodes = Array.from({ length: count }, (_, index) => {
    const node = new SimNode(index, { timeline, random: new Random(seed * 100_003 + index), facts });
    shapeOf(node);
    return node;
  });
  const typical = { promptTokens: PROMPT.mean, answerTokens: ANSWER.mean };
  const ranks = scenario.picker === "ark-node";
  const gateways = Array.from(
    { length: doors },
    (_, index) => new Gateway({ nodes, timeline, random: new Random(seed * 31 + 7 + index), typical, ranks }),
  );
  const make = PICKERS[scenario.picker];
  if (make === undefined) throw new TypeError(`There is no picker ${scenario.picker}`);
  const pick: Picker = make({ facts, timeline, random: new Random(seed * 17 + 5) });

  const world = { timeline, nodes, pick, looks: ranks && moves ? looks : null, push };
  const begin = seconds * 250;
  const end = begin + seconds * 1_000;
  const times: number[] = [];
  const answers = nodes.map(() => 0);
  let [failed, refused, broken, elsewhere, moved] = [0, 0, 0, 0, 0];

  const pushing = new Set<number>();
  for (const node of nodes) {
    for (const gateway of gateways) gateway.hear(node.index, offerOf(node));
    if (churn === 0) continue;
    scheduleEnd(node);
    scheduleSlowness(node);
  }
  const capacity = nodes.reduce((sum, node) => sum + node.slots / node.workMs(PROMPT.mean, ANSWER.mean), 0);
  const alive = churn > 0 ? 1 / (1 + AWAY_MS * churn / 60_000) : 1;
  const gap = 1 / (capacity * alive * load);
  timeline.at(0, arrive);
  timeline.runUntil(end + AFTER_MS);
  return { times: Float64Array.from(times).sort(), failed, refused, broken, elsewhere, moved, answers };

  function shapeOf(node: SimNode): void {
    if (shape === undefined) return;
    shape(node);
    node.shaped();
  }

  function arrive(): void {
    if (timeline.now < end) timeline.after(arrivals.exponential(gap), arrive);
    const prompt = Math.ceil(Math.min(PROMPT.most, lengths.logNormal(PROMPT.median, PROMPT.sigma)));
    const answer = Math.ceil(Math.min(ANSWER.most, lengths.logNormal(ANSWER.median, ANSWER.sigma)));
    const gateway = gateways[lengths.below(gateways.length)];
    if (gateway === undefined) return;
    const measured = timeline.now >= begin && timeline.now < end;
    const came = timeline.now;
    new Trip(world, {
      gateway,
      prompt,
      answer,
      ended(last, counts) {
        if (last !== null) answers[last.index] = (answers[last.index] ?? 0) + 1;
        if (!measured) return;
        refused += counts.refused;
        broken += counts.broken;
        elsewhere += counts.elsewhere;
        moved += counts.moved;
        if (last === null) failed++;
        else times.push(timeline.now + last.roundTripMs / 2 - came);
      },
    });
  }

  /** Tells the gateways how a node stands, soon: several changes at once are told together. */
  function push(node: SimNode): void {
    if (pushing.has(node.index)) return;
    pushing.add(node.index);
    timeline.after(PUSH_MS * delays.next() + node.roundTripMs / 2, () => {
      pushing.delete(node.index);
      if (node.state === "hidden") return;
      const offer = node.state === "up" ? offerOf(node) : null;
      for (const gateway of gateways) gateway.hear(node.index, offer);
    });
  }

  /** Half of those that go say so; the others are gone without a word. */
  function scheduleEnd(node: SimNode): void {
    if (timeline.now >= end) return;
    timeline.after(changes.exponential(60_000 / churn), () => {
      if (timeline.now >= end) return;
      const back = AWAY_MS * changes.spread(0.3, 3) / 1.17;
      if (changes.next() < 0.5) {
        node.drain();
        push(node);
      } else node.die(() => push(node));
      timeline.after(Math.max(2_000, back), () => {
        node.renew();
        shapeOf(node);
        push(node);
        scheduleEnd(node);
      });
    });
  }

  /** Now and then a machine is two to five times slower for a while. */
  function scheduleSlowness(node: SimNode): void {
    if (timeline.now >= end) return;
    timeline.after(changes.exponential(300_000), () => {
      node.slowness = changes.spread(2, 5);
      timeline.after(changes.exponential(20_000), () => {
        node.slowness = 1;
        scheduleSlowness(node);
      });
    });
  }
}

function offerOf(node: SimNode) {
  const { slots, loaded, loadMs, promptRate, generationRate, boast } = node;
  return {
    slots,
    loaded,
    loadMs,
    free: slots - node.busy,
    queued: node.waiting,
    claim: { promptRate: promptRate * boast, generationRate: generationRate * boast },
  };
}

/** The time within which a part of all answers came. */
export function quantile(times: Float64Array, part: number): number {
  return times[Math.min(times.length - 1, Math.floor(part * times.length))] ?? NaN;
}
