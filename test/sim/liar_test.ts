/** A peer that lies about its speed and its load, in virtual time, against the code by which a request is ranked. */
import assert from "node:assert/strict";
import { Breakers } from "../../src/routing/breakers.ts";
import { Gateway } from "./gateway.ts";
import { Random } from "./random.ts";
import { FACTS, SimNode } from "./sim_node.ts";
import { Timeline } from "./timeline.ts";

const NODES = 6;
const LIAR = 0;
const RATE = 20;
const CLAIMED = 200;
const TRUE_RATE = 4;
const MODEL = "model";
const CLIENTS = 4;
const TYPICAL = { promptTokens: 100, answerTokens: 100 };

/** Five honest nodes and one that claims to be ten times as fast as they are, and never to have anything to do. */
function scene(lies: "about its speed" | "about its answers") {
  const timeline = new Timeline();
  const facts = new Float64Array(NODES * FACTS.stride);
  const nodes = Array.from({ length: NODES }, (_, index) => {
    const node = new SimNode(index, { timeline, random: new Random(index + 1), facts });
    Object.assign(node, { promptRate: 5_000, generationRate: RATE, slots: 2, loaded: true, roundTripMs: 2 });
    node.shaped();
    return node;
  });
  const gateway = new Gateway({ nodes, timeline, random: new Random(9), typical: TYPICAL, ranks: true });
  const breakers = new Breakers({ clock: () => timeline.now });
  let honest = false;
  const liar = nodes[LIAR];
  if (liar !== undefined && lies === "about its speed") liar.generationRate = TRUE_RATE;
  const tell = (node: SimNode) => {
    const { index, slots } = node;
    const lying = index === LIAR && !honest;
    const generationRate = index === LIAR ? CLAIMED : RATE;
    const load = lying ? { free: slots, queued: 0 } : { free: slots - node.busy, queued: node.waiting };
    gateway.hear(index, { slots, loaded: true, loadMs: 0, ...load, claim: { promptRate: 5_000, generationRate } });
  };
  nodes.forEach(tell);
  const asked: number[] = [];
  let until = 0;
  // A few at a time: nobody learns from a long line of ours how slow one is.
  const ask = (): void => {
    if (timeline.now >= until) return;
    const demand = { ...TYPICAL, typical: TYPICAL };
    const [best] = gateway.pool.pick(demand, { permits: ({ key }) => breakers.state(key, MODEL) !== "open" });
    const node = nodes[Number(best?.key)];
    if (node === undefined) throw new RangeError("There is nobody");
    asked.push(node.index);
    breakers.asked(`${node.index}`, MODEL);
    const observation = gateway.begin(node.index, TYPICAL.promptTokens);
    gateway.sent(node.index);
    const over = (outcome: "ok" | "unavailable") => {
      observation.end(outcome);
      if (outcome === "ok") breakers.succeeded(`${node.index}`, MODEL);
      else breakers.failed(`${node.index}`, MODEL);
      gateway.settled(node.index);
      tell(node);
      ask();
    };
    if (lies === "about its answers" && node.index === LIAR && !honest) {
      // A black hole: nothing comes, and that takes a while to see.
      return timeline.after(3_000, () => over("unavailable"));
    }
    node.take({
      prompt: TYPICAL.promptTokens,
      answer: TYPICAL.answerTokens,
      began: () => {},
      first: () => {},
      lost: () => {},
      done: ({ started, first, ended }) => {
        observation.at(started).started();
        observation.at(first).firstToken();
        observation.at(ended).tokens(TYPICAL.answerTokens - 1);
        over("ok");
      },
    });
    tell(node);
  };
  /** Asks for so many seconds, and waits for the last answer; part of the questions that the liar got. */
  const share = (seconds: number) => {
    asked.length = 0;
    until = timeline.now + 1_000 * seconds;
    for (let client = 0; client < CLIENTS; client++) ask();
    timeline.runUntil(until + 60_000);
    return asked.filter((index) => index === LIAR).length / asked.length;
  };
  const repent = () => {
    honest = true;
    if (liar !== undefined) liar.generationRate = CLAIMED;
    nodes.forEach(tell);
  };
  return { share, repent };
}

for (const lies of ["about its speed", "about its answers"] as const) {
  Deno.test(`T48: A peer that lies ${lies} loses 95 % of its traffic within a minute, and has it back in ten when it is honest`, () => {
    const honest = scene(lies);
    honest.repent();
    const deserved = honest.share(60);
    assert.ok(deserved > 0.5, `${deserved}`);
    const { share, repent } = scene(lies);
    assert.ok(share(5) > 0, "It is believed at first");
    share(30);
    const later = share(120);
    assert.ok(later <= 0.05 * deserved, `${later} of ${deserved}`);
    repent();
    share(480);
    const back = share(60);
    assert.ok(back >= 0.8 * deserved, `${back} of ${deserved}`);
  });
}
