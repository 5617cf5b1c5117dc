import type { NodeId } from "@ark/node/identity";
import type { Backend } from "@ark/node/inference";
import { ArkError, type InferenceEvent, type InferenceRequest, type ModelRef } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import { rankedCandidate, type RoutingState } from "./asker.ts";
import { Breakers, type BreakerState } from "./breakers.ts";
import { type Choice, Choices, type LocalEngine, type RoutedUpstream } from "./choices.ts";
import { Demands } from "./demand.ts";
import { HedgeBudget, type HedgeSetting } from "./hedging.ts";
import { Journey } from "./journey.ts";
import { Observations } from "./observations.ts";
import type { PeerTable } from "./peer_table.ts";
import { findOffered } from "./peer_view.ts";
import { Lately } from "./lately.ts";
import { LinkGaps } from "./link_gaps.ts";
import { Moves, type MoveSetting } from "./moves.ts";
import { PlainPeers } from "./plain_peers.ts";
import { PooledChoices } from "./pooled_choices.ts";
import { PrefixAffinity } from "./prefix_affinity.ts";
import { type Candidate, type Demand, rank } from "./rank.ts";
import { Reputation } from "./reputation.ts";
import type { RankedCandidate, RouteOptions } from "./route.ts";
import { type RoutedModel, routedModels } from "./routed_models.ts";
import type { AsleepModel, Sleepers } from "./sleepers.ts";
import type { StallSetting } from "./stall_rule.ts";

/** Options of {@linkcode Router}. */
export interface RouterOptions {
  /** This node's label. */
  name: string;
  /** This node's own engine, when it has the role. */
  local: LocalEngine | null;
  /** Servers that the owner named. */
  upstreams?: readonly RoutedUpstream[];
  /** Makes the backend of a peer. */
  remote(id: NodeId): Backend | null;
  /** What the peers offer. */
  table: Pick<PeerTable, "list" | "offering"> & Partial<Pick<PeerTable, "ask">>;
  /** Says when an attempt failed. */
  logger: Pick<Logger, "warn">;
  /** What was seen of those who answered; absent: an own one, which tells the reputation. */
  observations?: Observations;
  /** How far those who answer can be relied on; absent: an own one. */
  reputation?: Reputation;
  /** Whether a second node is asked beside one that is slow to begin. @default {"p95"} */
  hedge?: HedgeSetting;
  /** Which silence of a running answer is a stall. @default {"auto"} */
  stall?: StallSetting;
  /** The owner's other nodes that sleep and can be woken; without it nobody is woken. */
  sleepers?: Sleepers;
  /** Whether requests that wait and long answers go to a node where they end sooner. @default {"on"} */
  move?: MoveSetting;
}

/** What {@linkcode Router.explain} tells of one who could answer. */
export interface ExplainedCandidate extends RankedCandidate, Omit<Candidate, "free"> {
  /** Whether it is an upstream server. */
  readonly upstream: boolean;
  /** Whole id of the model there. */
  readonly model: string;
  /** SHA-256 of the weights there in hex, or null where that is not known. */
  readonly digest: string | null;
  /** Whether it is asked, or set aside because it failed. */
  readonly breaker: BreakerState;
}

/** What is asked where {@linkcode Router.explain} is not told: a page to read, and half a page to write. */
const USUAL: Demand = { promptTokens: 512, answerTokens: 256 };

/** The backend made of all others: this node's engine and the approved peers that are within reach. */
export class Router implements Backend {
  /** Always `"router"`. */
  readonly name = "router";
  /** What was seen of those who answered. */
  readonly observations: Observations;
  /** How far those who answer can be relied on. */
  readonly reputation: Reputation;
  readonly #options: RouterOptions;
  readonly #state: RoutingState;

  /** Makes a router over this node's engine and the table of peers. */
  constructor(options: RouterOptions) {
    const { reputation = new Reputation(), hedge = "p95", stall = "auto", move = "on", upstreams = [], table, logger } =
      options;
    const { observations = new Observations({ ended: (ended) => reputation.note(ended) }) } = options;
    this.#options = options;
    this.observations = observations;
    this.reputation = reputation;
    const choices = new Choices({ ...options, observations, reputation });
    const breakers = new Breakers();
    const { remote } = options;
    const mayAsk = ({ peer }: Choice) => peer === null || remote(peer) !== null;
    this.#state = {
      choices,
      pooled: new PooledChoices({ choices, mayAsk }),
      breakers,
      observations,
      budget: new HedgeBudget(),
      gaps: new LinkGaps(),
      moves: new Moves({ setting: move }),
      demands: new Demands(),
      plain: new PlainPeers(),
      prefixes: new PrefixAffinity(),
      lately: new Lately(() => table.list().some(({ state }) => state === "unreachable")),
      hedge,
      stall,
      table,
      logger,
      candidates: (model, { options, demand, wanted }) => {
        const permitted = this.#permitted(model, { ...options, demand, wanted });
        return this.#order(wanted === undefined ? permitted : permitted.filter(wanted), demand);
      },
      order: (found, demand) => this.#order(found, demand),
      chooses: () => upstreams.length > 0 || table.list().length > 0,
      asleep: (model, options) => this.#asleep(model, options),
      async wake(asleep, signal) {
        return await options.sleepers?.wake(asleep, signal) ?? false;
      },
      nobody: (model, options) => this.#notFound(model, options),
    };
  }

  /** Whether anyone within reach has a model. */
  handles(model: ModelRef): boolean {
    return this.#state.choices.of(model).length > 0 || findAsleep(model, this.asleep()) !== undefined;
  }

  /**
   * All models within reach, each with who has it: this node's first, then those of upstream servers and of peers that are
   * ready. The same id occurs as often as there are nodes that have it.
   */
  models(): RoutedModel[] {
    return routedModels({ ...this.#options, asleep: this.asleep() });
  }

  /** Models of the owner's nodes that sleep. */
  asleep(): readonly AsleepModel[] {
    return this.#options.sleepers?.models() ?? [];
  }

  /** Ids of all models within reach, each once. */
  available(): string[] {
    return [...new Set(this.models().map(({ id }) => id))];
  }

  /** How many pairs of node and model are set aside because they failed, and how many are tried again now. */
  breakers(): { open: number; half_open: number } {
    return this.#state.breakers.counts();
  }

  /**
   * Those who could answer a request for a model, best first, with the numbers by which they are ranked. Nobody is asked.
   * Empty where nobody within reach has it.
   */
  explain(model: ModelRef, demand: Demand = USUAL): ExplainedCandidate[] {
    return this.#order(this.#state.choices.of(model), demand).map((choice) => {
      const { local, slots, roundTripMs, promptRate, generationRate, loadMs, successRate } = choice;
      return {
        ...rankedCandidate(choice, demand),
        local,
        slots,
        roundTripMs,
        promptRate,
        generationRate,
        loadMs,
        successRate,
        upstream: choice.upstream,
        model: choice.model,
        digest: choice.digest,
        breaker: this.#state.breakers.state(choice.key, choice.model),
      };
    });
  }

  /**
   * Lets the best candidate answer; tries the next one as long as no text has been shown, and afterwards lets another one
   * with the same weights go on from the tokens that were. The reader sees one answer, and each token of it once.
   *
   * @throws {ArkError} `model_not_found` when nobody within reach has the model, `model_not_shared` when the sender may not
   * use it, `unavailable` when the request must stay here and the model is elsewhere; else what the last candidate said,
   * and `unavailable` where that is about this node's standing with a peer.
   */
  infer(request: InferenceRequest, options: RouteOptions): AsyncGenerator<InferenceEvent> {
    return new Journey(this.#state, request, options).events();
  }

  /** Best first; who has failed lately comes last, where nothing better is left. */
  #order(found: readonly Choice[], demand: Demand): Choice[] {
    const { breakers } = this.#state;
    const ranked = rank(found, demand);
    const open = ranked.filter(({ key, model }) => breakers.state(key, model) === "open");
    return open.length === 0 ? ranked : [...ranked.filter((one) => !open.includes(one)), ...open];
  }

  /** Those who may answer. No backend of a peer is touched for a request that must stay here. */
  #permitted(
    model: ModelRef,
    { localOnly = false, permits, demand, wanted }: Pick<RouteOptions, "localOnly" | "permits"> & {
      demand: Demand;
      wanted: ((choice: Choice) => boolean) | undefined;
    },
  ): Choice[] {
    const here = this.#state.pooled.of(model, { localOnly, demand, ...wanted === undefined ? {} : { wanted } });
    if (localOnly && here.length === 0) {
      throw new ArkError(
        "unavailable",
        `The model '${model}' is not on this machine, and this request must not leave it: ask a model that is here, or ` +
          "ask without local-only",
      );
    }
    if (permits === undefined) return here;
    const permitted = here.filter((choice) => permits(choice.model));
    if (permitted.length > 0 || here.length === 0) return permitted;
    throw new ArkError("model_not_shared", `This API key may not use the model '${model}': see /v1/models`);
  }

  /** The model of a node that sleeps and would be woken for it, where nobody that is awake has it. */
  asleepWith(model: ModelRef): AsleepModel | undefined {
    return findAsleep(model, this.asleep());
  }

  /** A model of a node that sleeps, where the request may be answered there. */
  #asleep(model: ModelRef, { localOnly = false, permits }: RouteOptions): AsleepModel | undefined {
    const found = localOnly ? undefined : findAsleep(model, this.asleep());
    return found !== undefined && (permits?.(found.model.id) ?? true) ? found : undefined;
  }

  #notFound(model: ModelRef, { permits }: RouteOptions): ArkError {
    const names = this.available().filter((name) => permits?.(name) ?? true);
    const shown = names.slice(0, 12).join(", ") + (names.length > 12 ? ` and ${names.length - 12} more` : "");
    const have = names.length === 0
      ? "no model is available: put a GGUF file into a folder of --models, or approve a peer that has one"
      : `available: ${shown}`;
    return new ArkError(
      "model_not_found",
      `The model '${model}' is neither here nor at an approved peer within reach; ${have}`,
    );
  }
}

/** The model at a sleeping node that a person means. */
function findAsleep(ref: ModelRef, asleep: readonly AsleepModel[]): AsleepModel | undefined {
  // Several of the nodes may have the same one: that makes its name no less clear.
  const found = findOffered([...new Map(asleep.map(({ model }) => [model.id, model])).values()], ref);
  return found === undefined ? undefined : asleep.find(({ model }) => model.id === found.id);
}
