import type { Gateway } from "./gateway.ts";
import type { Random } from "./random.ts";
import { FACTS } from "./sim_node.ts";
import type { Timeline } from "./timeline.ts";

/** A request as a picker sees it: `answer` is its true length, which nobody but the second oracle looks at. */
export interface Question {
  readonly prompt: number;
  readonly answer: number;
}

/** Chooses a node for a request; null where there is none. */
export type Picker = (gateway: Gateway, question: Question, tried: readonly number[]) => number | null;

/** What a picker is made of. */
export interface PickerParts {
  readonly timeline: Timeline;
  readonly facts: Float64Array;
  readonly random: Random;
}

/** Ways to choose, by name. The first is the product's own code. */
export const PICKERS: { readonly [name: string]: (parts: PickerParts) => Picker } = {
  "ark-node": () => ({ pool, typical }, { prompt }, tried) => {
    const demand = { promptTokens: prompt, answerTokens: typical.answerTokens, typical };
    const options = tried.length === 0 ? {} : { permits: ({ key }: { key: string }) => !tried.includes(Number(key)) };
    const [first] = pool.pick(demand, options);
    return first === undefined ? null : Number(first.key);
  },
  "random": ({ random }) => ({ ready }, _, tried) => {
    for (let attempt = 0; attempt < 20; attempt++) {
      const index = ready[random.below(ready.length)];
      if (index !== undefined && !tried.includes(index)) return index;
    }
    return null;
  },
  "round robin": ({ random }) => {
    const turns = new Map<Gateway, number>();
    return (gateway) => {
      const turn = turns.get(gateway) ?? random.below(1e6);
      turns.set(gateway, turn + 1);
      return gateway.ready[turn % gateway.ready.length] ?? null;
    };
  },
  // Own connections only: what a common balancer does.
  "least connections": ({ random }) => least(random, ({ inFlight }) => inFlight),
  // The same, with what nodes tell: as well informed as ark-node is.
  "least conn., told": ({ random }) => least(random, ({ slots, free, queued, sent }) => slots - free + queued + sent),
  "oracle": (parts) => oracle(parts, { knowsLength: false }),
  "oracle + length": (parts) => oracle(parts, { knowsLength: true }),
};

type Load = (told: { slots: number; free: number; queued: number; sent: number; inFlight: number }) => number;

function least(random: Random, loadOf: Load): Picker {
  return ({ ready, told }, _, tried) => {
    let [best, least] = [-1, Infinity];
    const begin = random.below(Math.max(1, ready.length));
    for (let step = 0; step < ready.length; step++) {
      const index = ready[(begin + step) % ready.length] ?? 0;
      const known = told[index] ?? null;
      if (known === null || tried.includes(index)) continue;
      const load = loadOf(known);
      if (load >= least) continue;
      [best, least] = [index, load];
      if (load === 0) break;
    }
    return best < 0 ? null : best;
  };
}

/** Knows what nobody can: the true speeds, lines and deaths of this moment. Takes what is best for this request. */
function oracle({ facts, timeline }: PickerParts, { knowsLength }: { knowsLength: boolean }): Picker {
  const { stride, freeAt, readMs, writeMs, fixedMs, open } = FACTS;
  return ({ typical }, { prompt, answer }, tried) => {
    const { now } = timeline;
    const writes = knowsLength ? answer : typical.answerTokens;
    let [best, least] = [-1, Infinity];
    for (let at = 0; at < facts.length; at += stride) {
      if (facts[at + open] === 0) continue;
      const ms = Math.max(0, (facts[at + freeAt] ?? 0) - now) + prompt * (facts[at + readMs] ?? 0) +
        writes * (facts[at + writeMs] ?? 0) + (facts[at + fixedMs] ?? 0);
      if (ms < least && !tried.includes(at / stride)) [best, least] = [at / stride, ms];
    }
    return best < 0 ? null : best;
  };
}
