import { answersSooner, type Candidate, type Demand, endsSooner, isFree } from "@ark/node/routing";
import type { Gateway } from "./gateway.ts";
import type { Picker } from "./pickers.ts";
import type { Random } from "./random.ts";
import type { Job, SimNode } from "./sim_node.ts";
import type { Timeline } from "./timeline.ts";

/** What all requests of a simulation share. */
export interface TripWorld {
  readonly timeline: Timeline;
  readonly nodes: readonly SimNode[];
  readonly pick: Picker;
  /** For when it is looked for a better place; null: never, a request stays where it is. */
  readonly looks: Random | null;
  /** Tells the gateways how a node stands. */
  push(node: SimNode): void;
}

/** One request. */
export interface TripRequest {
  readonly gateway: Gateway;
  readonly prompt: number;
  readonly answer: number;
  /** How it ended, with the node that wrote the end, or null where nobody answered, and what happened on the way. */
  ended(last: SimNode | null, counts: TripCounts): void;
}

/** What happened on the way. */
export interface TripCounts {
  refused: number;
  broken: number;
  /** Lines of others in which it was put as well, and running answers that went elsewhere. */
  elsewhere: number;
  moved: number;
}

/** What `journey.ts`, `first_token.ts` and `mover.ts` have as constants, too. */
const MOST_ATTEMPTS = 5;
const LOOK_MS = { least: 375, most: 1_125 };
const MOST_ELSEWHERE = 4;
const BEGIN_MS = 300;
const LONGEST_MOVE_MS = 2_000;
const MOST_TRIALS = 2;
const LEAST_TOKENS = 8;

/** A request at a node. */
interface Visit {
  readonly node: SimNode;
  readonly job: Job;
  readonly observation: ReturnType<Gateway["begin"]>;
  /** Tokens that had been written elsewhere. */
  readonly from: number;
  began: boolean;
  firstAt: number | null;
  over: boolean;
}

/** The way of one request: who is asked, and where it goes on; as `Journey` does it, with the same rules. */
export class Trip {
  readonly #counts: TripCounts = { refused: 0, broken: 0, elsewhere: 0, moved: 0 };
  readonly #world: TripWorld;
  readonly #request: TripRequest;
  readonly #tried: number[] = [];
  #lead: Visit | null = null;
  /** Another one that was asked meanwhile, and until when it has to begin, or to have read. */
  #rival: Visit | null = null;
  #rivalBy = 0;
  #attempts = 0;
  #trials = 0;
  #elsewhere = 0;
  #written = 0;
  #over = false;

  /** Sets out. */
  constructor(world: TripWorld, request: TripRequest) {
    this.#world = world;
    this.#request = request;
    request.gateway.moves.came();
    this.#next();
    if (world.looks !== null) this.#lookLater();
  }

  #next(): void {
    const { pick, nodes } = this.#world;
    const { gateway, prompt, answer } = this.#request;
    const question = { prompt: prompt + this.#written, answer: answer - this.#written };
    const index = this.#attempts++ >= MOST_ATTEMPTS ? null : pick(gateway, question, this.#tried);
    const node = index === null ? undefined : nodes[index];
    if (node === undefined) return this.#end(null);
    this.#lead = this.#visit(node);
  }

  #end(last: SimNode | null): void {
    this.#over = true;
    this.#request.ended(last, this.#counts);
  }

  #visit(node: SimNode): Visit {
    const { timeline, push } = this.#world;
    const { gateway, answer } = this.#request;
    const from = this.#written;
    const prompt = this.#request.prompt + from;
    const observation = gateway.begin(node.index, prompt);
    gateway.sent(node.index);
    const job: Job = {
      prompt,
      answer: Math.max(1, answer - from),
      began: () => timeline.after(node.roundTripMs / 2, () => this.#began(visit)),
      first: () => this.#first(visit),
      done: (times) => this.#done(visit, times),
      lost: (written) => this.#lost(visit, written),
    };
    const visit: Visit = { node, job, observation, from, began: false, firstAt: null, over: false };
    timeline.after(node.roundTripMs / 2, () => {
      if (visit.over) return;
      const taken = node.take(job);
      push(node);
      if (!taken) this.#refused(visit);
    });
    return visit;
  }

  #began(visit: Visit): void {
    if (visit.over) return;
    visit.began = true;
    // What waits in two lines stays with the first that begins; what is written goes on once the other one has read it.
    if (this.#written > 0) return;
    if (visit === this.#rival) this.#rivalLeads(visit);
    else this.#dropRival();
  }

  #first(visit: Visit): void {
    if (visit.over) return;
    visit.firstAt = this.#world.timeline.now;
    if (visit !== this.#rival) return;
    this.#counts.moved++;
    this.#rivalLeads(visit);
  }

  #done(visit: Visit, { started, first, ended }: { started: number; first: number; ended: number }): void {
    const { gateway, answer } = this.#request;
    visit.over = true;
    visit.observation.at(started).started();
    visit.observation.at(first).firstToken();
    visit.observation.at(ended).tokens(answer - visit.from - 1);
    visit.observation.end("ok");
    gateway.settled(visit.node.index);
    this.#world.push(visit.node);
    gateway.lengths.note(answer);
    this.#dropRival();
    this.#end(visit.node);
  }

  #lost(visit: Visit, written: number): void {
    if (visit.over) return;
    const { gateway, answer } = this.#request;
    visit.over = true;
    if (written > 0) visit.observation.at(this.#world.timeline.now).firstToken();
    visit.observation.end("unavailable");
    gateway.settled(visit.node.index);
    this.#tried.push(visit.node.index);
    if (visit === this.#rival) {
      this.#rival = null;
      return;
    }
    this.#counts.broken++;
    // Another one goes on from the tokens that were written: it reads them, too.
    this.#written = Math.min(answer - 1, visit.from + written);
    const rival = this.#rival;
    this.#rival = null;
    if (rival !== null && rival.from === this.#written) this.#lead = rival;
    else {
      if (rival !== null) this.#drop(rival);
      this.#next();
    }
  }

  #refused(visit: Visit): void {
    visit.over = true;
    visit.observation.end("busy");
    this.#request.gateway.settled(visit.node.index);
    this.#counts.refused++;
    const rival = this.#rival;
    this.#rival = null;
    if (visit === rival) return;
    if (rival !== null) {
      this.#lead = rival;
      return;
    }
    this.#tried.push(visit.node.index);
    this.#world.timeline.after(visit.node.roundTripMs / 2, () => this.#next());
  }

  #rivalLeads(rival: Visit): void {
    const before = this.#lead;
    this.#rival = null;
    this.#lead = rival;
    if (before !== null) this.#drop(before);
  }

  #dropRival(): void {
    const rival = this.#rival;
    this.#rival = null;
    if (rival !== null) this.#drop(rival);
  }

  /** Lets one go: it hears of it later. */
  #drop(visit: Visit): void {
    if (visit.over) return;
    const { timeline, push } = this.#world;
    const { node, job, observation, firstAt } = visit;
    const { gateway } = this.#request;
    visit.over = true;
    if (firstAt !== null) {
      observation.at(firstAt).firstToken();
      observation.at(timeline.now).tokens(node.written(job) ?? 0);
    }
    observation.end("cancelled");
    gateway.settled(node.index);
    gateway.moves.tookBack(`${node.index}`);
    timeline.after(node.roundTripMs / 2, () => {
      node.drop(job);
      push(node);
    });
  }

  #lookLater(): void {
    const { timeline, looks } = this.#world;
    if (looks === null) return;
    timeline.after(LOOK_MS.least + (LOOK_MS.most - LOOK_MS.least) * looks.next(), () => {
      if (this.#over) return;
      this.#look();
      this.#lookLater();
    });
  }

  #look(): void {
    const { timeline: { now } } = this.#world;
    const lead = this.#lead;
    if (this.#rival !== null && now > this.#rivalBy) this.#dropRival();
    if (lead === null || lead.over || this.#rival !== null) return;
    if (!lead.began) this.#lookForLine(lead);
    else if (lead.firstAt !== null) this.#lookForRest(lead, now - lead.firstAt);
  }

  /** It waits: another one may be free. */
  #lookForLine(lead: Visit): void {
    const { gateway, prompt } = this.#request;
    const key = `${lead.node.index}`;
    const waiting = gateway.pool.get(key);
    if (this.#written > 0 || this.#elsewhere >= MOST_ELSEWHERE || waiting === undefined) return;
    if (!gateway.moves.mayTakeBack(key)) return;
    const demand = { promptTokens: prompt, answerTokens: gateway.lengths.mean };
    const to = this.#find(demand, key, (free) => answersSooner(waiting, free, demand));
    if (to === null) return;
    this.#elsewhere++;
    this.#counts.elsewhere++;
    this.#ask(to, BEGIN_MS + to.roundTripMs);
  }

  /** It is written: another one may write the rest much sooner. */
  #lookForRest({ node, job, from }: Visit, ms: number): void {
    const { gateway, prompt } = this.#request;
    const tokens = node.written(job) ?? 0;
    if (
      tokens < LEAST_TOKENS || !gateway.moves.mayTakeBack(`${node.index}`) || this.#counts.moved > 0 ||
      this.#trials >= MOST_TRIALS || !gateway.moves.mayMove
    ) {
      return;
    }
    const written = from + tokens;
    const rest = {
      promptTokens: prompt + written,
      answerTokens: gateway.lengths.rest(written),
      paceMs: ms / tokens,
    };
    const to = this.#find(rest, `${node.index}`, (free) => endsSooner(rest, free));
    if (to === null) return;
    this.#trials++;
    gateway.moves.moved();
    this.#written = written;
    this.#ask(to, LONGEST_MOVE_MS);
  }

  #ask({ key }: Candidate, withinMs: number): void {
    const { nodes, timeline } = this.#world;
    const node = nodes[Number(key)];
    if (node === undefined) return;
    this.#rivalBy = timeline.now + withinMs;
    this.#rival = this.#visit(node);
  }

  #find(demand: Demand, from: string, better: (free: Candidate) => boolean): Candidate | null {
    const { moves, pool, typical } = this.#request.gateway;
    const permits = (one: Candidate) => one.key !== from && isFree(one) && !this.#tried.includes(Number(one.key));
    const able = (one: Candidate) => moves.mayTakeBack(one.key) && better(one);
    const found = pool.pick({ ...demand, typical }, { permits }).find(able);
    return found ?? null;
  }
}
