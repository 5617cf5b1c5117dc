import type { ExplainedCandidate, PeerState } from "@ark/node/routing";

/** One who could answer, with the numbers that its place rests on. */
export interface WhyCandidate {
  /** Stable key: the id of a peer, `local`, or `upstream:NAME`. */
  key: string;
  /** Name for people. */
  name: string;
  /** Where it is. */
  where: "local" | "peer" | "upstream";
  /** Whole id of the model there. */
  model: string;
  /** Expected time to a usual answer in milliseconds. */
  estimate_ms: number;
  /** Whether the model is in its memory. */
  loaded: boolean;
  /** Requests of ours that it is answering. */
  in_flight: number;
  /** Requests that it answers at once. */
  slots: number;
  /** Requests that wait there, as it claims. */
  queued: number;
  /** Round trip in milliseconds, or null where it is not known. */
  round_trip_ms: number | null;
  /** Tokens of a prompt that it reads in a second, or null. */
  prompt_rate: number | null;
  /** Tokens of an answer that it writes in a second, or null. */
  generation_rate: number | null;
  /** How long it loads the model in milliseconds, or null. */
  load_ms: number | null;
  /** How many of its answers come to their end: 0 to 1. */
  success_rate: number;
  /** `open` where it failed so often of late that it is asked only when nobody else is left. */
  breaker: ExplainedCandidate["breaker"];
}

/** Why one is no candidate. */
export type ExcludedBecause =
  | Exclude<PeerState, "ready">
  | "not_offered"
  | "no_such_model"
  | "no_engine"
  | "engine_failed";

/** One who cannot answer. */
export interface WhyExcluded {
  /** Name for people. */
  name: string;
  /** The peer's id, or null for this node. */
  peer: string | null;
  /** Why. */
  reason: ExcludedBecause;
  /** The same as a sentence. */
  sentence: string;
}

/** The answer of `GET /api/v1/why`. */
export interface WhyModel {
  /** The model as it was asked for. */
  model: string;
  /** Who would answer now and why, in one sentence. */
  sentence: string;
  /** Those who could answer, in the order in which they are asked. */
  candidates: WhyCandidate[];
  /** Those who cannot. */
  excluded: WhyExcluded[];
}

/** What is known of everybody who might answer. */
export interface WhySources {
  /** The model as it is asked for. */
  model: string;
  /** Those who could answer, in the order of the router. */
  candidates: readonly ExplainedCandidate[];
  /** This node: whether it has an engine and the model, and why the engine cannot run it. */
  here: { name: string; engine: boolean; model: boolean; failure: string | null };
  /** The owner's node that sleeps and would be woken for the model, or null. */
  asleep?: string | null;
  /** The approved peers. */
  peers: readonly { id: string; name: string; state: PeerState }[];
}

/** Estimates that differ by no more than this part say nothing about who is faster. */
const NEAR = 1.1;

/** Says who would answer a request for a model now, and why nobody else. Pure. */
export function whyModel({ model, candidates: found, here, peers, asleep = null }: WhySources): WhyModel {
  const candidates = found.map(candidateOf);
  const excluded: WhyExcluded[] = peers.flatMap((peer) => {
    if (candidates.some(({ key }) => key === peer.id)) return [];
    const reason = NOT_READY.has(peer.state) ? peer.state as Exclude<PeerState, "ready"> : "not_offered";
    return [{ name: peer.name, peer: peer.id, reason, sentence: excludedSentence(peer, model) }];
  });
  const own = whyNotHere(here, model);
  if (own !== null && !candidates.some(({ key }) => key === "local")) excluded.unshift(own);
  return { model, sentence: sentenceOf(model, { candidates, excluded, here, asleep }), candidates, excluded };
}

function candidateOf(one: ExplainedCandidate): WhyCandidate {
  return {
    key: one.key,
    name: one.name,
    where: one.upstream ? "upstream" : one.peer === null ? "local" : "peer",
    model: one.model,
    estimate_ms: tenth(one.estimateMs),
    loaded: one.loaded,
    in_flight: one.inFlight,
    slots: one.slots,
    queued: one.queued,
    round_trip_ms: one.roundTripMs < Infinity ? tenth(one.roundTripMs) : null,
    prompt_rate: one.promptRate === null ? null : tenth(one.promptRate),
    generation_rate: one.generationRate === null ? null : tenth(one.generationRate),
    load_ms: one.loadMs === null ? null : tenth(one.loadMs),
    success_rate: Math.round(one.successRate * 1_000) / 1_000,
    breaker: one.breaker,
  };
}

function sentenceOf(
  model: string,
  { candidates, excluded, here, asleep }:
    & Pick<WhyModel, "candidates" | "excluded">
    & Required<Pick<WhySources, "here" | "asleep">>,
): string {
  const [best, next] = candidates;
  if (best === undefined && asleep !== null) {
    return `${asleep} would answer ${model}: it sleeps and would be woken, since nobody that is awake has it.`;
  }
  if (best === undefined) {
    const away = excluded.filter(({ reason }) => reason !== "not_offered" && reason !== "no_such_model");
    const more = away.length === 0 ? "" : `; ${away.map(({ sentence }) => lower(sentence)).slice(0, 3).join(", and ")}`;
    return `Nobody within reach can answer ${model} now${more}.`;
  }
  const name = nameOf(best, here.name);
  const failing = best.breaker === "open" ? ", although its last answers failed, since nobody better is left" : "";
  if (next === undefined) {
    return `${name} would answer ${model} now${failing}: nobody else within reach has it.`;
  }
  const other = nameOf(next, here.name);
  if (failing !== "") return `${name} would answer ${model} now${failing}.`;
  if (next.breaker === "open") return `${name} would answer ${model} now: the last answers of ${lower(other)} failed.`;
  const [first, second] = [best.estimate_ms, next.estimate_ms];
  if (second > first * NEAR) {
    return `${name} would answer ${model} now: a usual answer is expected after ${seconds(first)} there, and after ${
      seconds(second)
    } at ${inner(next, here.name)}${detail(best, next)}.`;
  }
  // Where this node has not been measured yet it goes first, to be: then the next one's estimate may be the smaller one.
  if (second * NEAR < first && best.where === "local") {
    return `${name} would answer ${model} now: it has not been measured yet, and is free.`;
  }
  return `${name} would answer ${model} now: a usual answer is expected after some ${seconds(first)} there and at ${
    inner(next, here.name)
  }, and ${best.where === "local" ? "nothing leaves this machine without need" : "one of the two is chosen"}.`;
}

/** What makes the difference, where it is one thing above all. */
function detail(best: WhyCandidate, next: WhyCandidate): string {
  if (best.loaded && !next.loaded) return ", where the model is not in memory";
  if (next.queued > best.queued) return `, where ${next.queued} ${next.queued === 1 ? "waits" : "wait"}`;
  if (next.success_rate < best.success_rate - 0.1) return ", which fails more often";
  const [fast, slow] = [best.generation_rate, next.generation_rate];
  return fast !== null && slow !== null && fast > slow * NEAR
    ? `, which writes ${slow} tokens a second and not ${fast}`
    : "";
}

function whyNotHere({ name, engine, model: has, failure }: WhySources["here"], model: string): WhyExcluded | null {
  if (!engine) return { name, peer: null, reason: "no_engine", sentence: "This node has not the role compute" };
  if (!has) return { name, peer: null, reason: "no_such_model", sentence: `This node has no model ${model}` };
  if (failure === null) return null;
  return { name, peer: null, reason: "engine_failed", sentence: `This node's engine cannot run it: ${failure}` };
}

const NOT_READY: ReadonlyMap<string, string> = new Map([
  ["unseen", "was not seen yet"],
  ["unreachable", "cannot be reached"],
  ["not_approved", "has not approved this node"],
  ["revoked", "took this node's approval back"],
  ["draining", "takes no work now"],
  ["yielding", "takes no work, since its owner needs the machine or shares nothing now"],
  ["thrashing", "takes no work, since it has too little memory"],
  ["paused", "is paused by you"],
]);

function excludedSentence({ name, state }: WhySources["peers"][number], model: string): string {
  const why = NOT_READY.get(state);
  return why === undefined ? `${name} offers you no model ${model}` : `${name} ${why}`;
}

function nameOf({ where, name }: WhyCandidate, own: string): string {
  return where === "local" ? `This node (${own})` : where === "upstream" ? `The server ${name}` : name;
}

function inner(candidate: WhyCandidate, own: string): string {
  return lower(nameOf(candidate, own));
}

/** A sentence as a part of another one; names stay as they are. */
function lower(sentence: string): string {
  return /^(This node|The server)/.test(sentence) ? sentence.charAt(0).toLowerCase() + sentence.slice(1) : sentence;
}

/** A time as people say it, to two digits where it is short. */
function seconds(ms: number): string {
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 120_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
