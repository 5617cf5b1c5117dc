import {
  AnswerLengths,
  type Candidate,
  CandidatePool,
  type Claim,
  estimateMs,
  expectedRates,
  loadSince,
  Moves,
  type Observation,
  Observations,
  Reputation,
} from "@ark/node/routing";
import type { Random } from "./random.ts";
import type { SimNode } from "./sim_node.ts";
import type { Timeline } from "./timeline.ts";

/** What a node said last, and what this gateway sent there since. */
export interface Told {
  readonly free: number;
  readonly queued: number;
  readonly slots: number;
  readonly loaded: boolean;
  readonly loadMs: number;
  readonly claim: Claim;
  sent: number;
  inFlight: number;
}

/** What is expected of a request before it is known. */
export interface Typical {
  readonly promptTokens: number;
  readonly answerTokens: number;
}

const MODEL = "model";

/** A gateway with the code of the product: own observations, offers that come late, and a pool of candidates. */
export class Gateway {
  /** What it was told, by the node's number; null where it knows of none. */
  readonly told: (Told | null)[] = [];
  readonly pool: CandidatePool<Candidate>;
  /** How long answers were. */
  readonly lengths = new AnswerLengths();
  /** How often requests may go elsewhere. */
  readonly moves: Moves;
  readonly #observations: Observations;
  readonly #reputation: Reputation;
  readonly #nodes: readonly SimNode[];
  readonly #typical: Typical;
  readonly #ranks: boolean;
  /** Nodes that take work, as far as it knows, in no order: for those who choose by chance or by turns. */
  readonly ready: number[] = [];
  readonly #placeOfReady = new Map<number, number>();
  /** When an observation happened, where that is not now. */
  #then: number | null = null;

  /** Makes a gateway. Where it does not rank, it keeps no pool. */
  constructor(
    { nodes, timeline, random, typical, ranks }: {
      nodes: readonly SimNode[];
      timeline: Timeline;
      random: Random;
      typical: Typical;
      ranks: boolean;
    },
  ) {
    const clock = () => this.#then ?? timeline.now;
    this.#nodes = nodes;
    this.moves = new Moves({ clock: () => timeline.now });
    this.#typical = typical;
    this.#ranks = ranks;
    this.pool = new CandidatePool({ random: () => random.next(), typical });
    this.#reputation = new Reputation({ clock, most: nodes.length });
    this.#observations = new Observations({
      clock,
      most: nodes.length,
      ended: (ended) => this.#reputation.note(ended),
    });
  }

  /** Hears what a node offers now; null: it takes no work. */
  hear(index: number, offer: Omit<Told, "sent" | "inFlight"> | null): void {
    const before = this.told[index] ?? null;
    const place = this.#placeOfReady.get(index);
    if (offer === null) {
      this.told[index] = null;
      if (this.#ranks) this.pool.delete(`${index}`);
      const last = this.ready.pop();
      if (place === undefined || last === undefined) {
        if (last !== undefined) this.ready.push(last);
        return;
      }
      this.#placeOfReady.delete(index);
      if (last === index) return;
      this.ready[place] = last;
      this.#placeOfReady.set(last, place);
      return;
    }
    this.told[index] = { ...offer, sent: 0, inFlight: before?.inFlight ?? 0 };
    if (place === undefined) this.#placeOfReady.set(index, this.ready.push(index) - 1);
    this.refresh(index);
  }

  /** Puts what is known of a node into the pool. */
  refresh(index: number): void {
    if (this.#ranks) {
      const candidate = this.#candidate(index);
      if (candidate !== null) this.pool.set(candidate);
    }
  }

  /** A request is on its way to a node. */
  sent(index: number): void {
    const told = this.told[index] ?? null;
    if (told !== null) {
      told.sent++;
      told.inFlight++;
    }
    this.moves.asked(`${index}`);
    this.refresh(index);
  }

  /** A request to a node is over. */
  settled(index: number): void {
    const told = this.told[index] ?? null;
    if (told !== null && told.inFlight > 0) told.inFlight--;
    this.refresh(index);
  }

  /** Observes an answer of a node. */
  begin(index: number, prompt: number): Observation & { at(time: number): Observation } {
    const told = this.told[index] ?? null;
    const node = this.#nodes[index];
    const candidate = this.#candidate(index);
    const observation = this.#observations.begin(`${index}`, MODEL, {
      promptTokens: prompt,
      roundTripMs: node?.roundTripMs ?? 0,
      waits: told !== null && (told.free <= told.sent || !told.loaded),
      ...told === null ? {} : { claim: told.claim },
      ...candidate === null ? {} : { expectedMs: estimateMs(candidate, { promptTokens: prompt, answerTokens: 1 }) },
    });
    return {
      ...observation,
      at: (time) => {
        this.#then = time;
        return observation;
      },
      end: (outcome) => {
        this.#then = null;
        observation.end(outcome);
      },
    };
  }

  #candidate(index: number): Candidate | null {
    const told = this.told[index] ?? null;
    const node = this.#nodes[index];
    if (told === null || node === undefined) return null;
    const key = `${index}`;
    const observed = this.#observations.of(key, MODEL);
    const { honesty, reliability } = this.#reputation.of(key);
    return {
      key,
      name: key,
      local: false,
      loaded: told.loaded,
      inFlight: told.inFlight,
      slots: told.slots,
      ...loadSince(told, told.sent),
      roundTripMs: node.roundTripMs,
      loadMs: told.loadMs,
      ...expectedRates(observed, told.claim, honesty),
      successRate: Math.min(observed.successRate, reliability),
    };
  }

  /** What a request is expected to be. */
  get typical(): Typical {
    return this.#typical;
  }
}
