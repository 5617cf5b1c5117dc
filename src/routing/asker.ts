import { ArkError, type ErrorCode, type InferenceRequest, type ModelRef } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import { Attempt } from "./attempt.ts";
import type { Breakers } from "./breakers.ts";
import type { Choice, Choices } from "./choices.ts";
import type { Demands } from "./demand.ts";
import type { Lately } from "./lately.ts";
import { TRY_NEXT } from "./first_token.ts";
import type { HowAsked } from "./first_token_options.ts";
import type { HedgeBudget, HedgeSetting } from "./hedging.ts";
import type { LinkGaps } from "./link_gaps.ts";
import type { Moves } from "./moves.ts";
import type { Observations } from "./observations.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PooledChoices } from "./pooled_choices.ts";
import type { PlainPeers } from "./plain_peers.ts";
import { type PrefixAffinity, type PrefixChain, prefixOfRequest } from "./prefix_affinity.ts";
import { type Demand, estimateMs } from "./rank.ts";
import type { RouteOptions, RouteStep } from "./route.ts";
import { routeReason } from "./route_reason.ts";
import type { AsleepModel, Sleepers } from "./sleepers.ts";
import type { StallSetting } from "./stall_rule.ts";

/** What all requests of a router share. */
export interface RoutingState {
  /** Who could answer. */
  readonly choices: Choices;
  /** Those who are worth a look, where very many could. */
  readonly pooled: PooledChoices;
  /** Who is not to be asked for a while. */
  readonly breakers: Breakers;
  /** How many prompts may be read twice. */
  readonly budget: HedgeBudget;
  /** How often requests and answers may go elsewhere. */
  readonly moves: Moves;
  /** What was seen of each. */
  readonly observations: Observations;
  /** How long prompts and answers are. */
  readonly demands: Demands;
  /** Who does not know how to tell tokens. */
  readonly plain: PlainPeers;
  /** Who has the beginning of which prompt in its cache. */
  readonly prefixes: PrefixAffinity;
  /** Which models were within reach a moment ago. */
  readonly lately: Lately;
  /** Whether a second one is asked beside one that is slow. */
  readonly hedge: HedgeSetting;
  /** How long the streams of each are silent that are well. */
  readonly gaps: LinkGaps;
  /** Which silence is a stall. */
  readonly stall: StallSetting;
  /** Asks a peer how it stands. */
  readonly table: Partial<Pick<PeerTable, "ask">>;
  /** Says when an attempt failed. */
  readonly logger: Pick<Logger, "warn">;
  /** Who may answer a request, best first: all, or those who are `wanted`. */
  candidates(
    model: ModelRef,
    asked: { options: RouteOptions; demand: Demand; wanted?: (choice: Choice) => boolean },
  ): Choice[];
  /** Those of some who may answer a request, best first. */
  order(found: readonly Choice[], demand: Demand): Choice[];
  /** Whether there is anybody but this node itself who could be asked, now or later. */
  chooses(): boolean;
  /** A model of the owner's node that sleeps, where the request may be answered there. */
  asleep(model: ModelRef, options: RouteOptions): AsleepModel | undefined;
  /** Wakes it. */
  readonly wake: Sleepers["wake"];
  /** Nobody has the model. */
  nobody(model: ModelRef, options: RouteOptions): ArkError;
}

/** Failures between this node and a peer, which would read to a client as if it had done something wrong itself. */
const BETWEEN_NODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "forbidden",
  "model_not_shared",
  "revoked",
  "unauthenticated",
  "clock",
  "replay",
]);

/** Failures that say that a candidate does not work, or that the way to it does not. */
const BREAKS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["unavailable", "engine_failed", "internal"]);

/** A prompt that brings down this many engines is not given to another one. */
const MOST_ENGINE_FAILURES = 3;

type Told = RouteStep extends infer Step ? Step extends { ms: number } ? Omit<Step, "ms"> : never : never;

/** Asks candidates for one request, and tells everybody who has to know how that goes. */
export class Asker {
  /** How much there is to do, as far as one can expect. */
  readonly demand: Demand;
  readonly #state: RoutingState;
  readonly #request: InferenceRequest;
  readonly #options: RouteOptions;
  readonly #chain: PrefixChain;
  readonly #came = performance.now();
  /** All attempts, with how many there were before each. */
  readonly #attempts = new Map<Attempt, number>();
  /** Those of whom the client was told. */
  readonly #told = new Set<Attempt>();
  #engineFailures = 0;
  /** Who was woken for the request. */
  #woken: Choice["peer"] = null;

  /** Asks nobody yet. */
  constructor(state: RoutingState, { request, options }: { request: InferenceRequest; options: RouteOptions }) {
    this.#state = state;
    this.#request = request;
    this.#options = options;
    // Where nobody else could ever be chosen it makes no difference what is in whose memory.
    const chooses = state.chooses();
    this.#chain = chooses ? prefixOfRequest(request, { principal: options.principal, model: request.model }) : [];
    const cached = state.prefixes.cached(this.#chain);
    const work = state.demands.expect(request);
    this.demand = {
      ...work,
      random: Math.random,
      ...cached.size === 0
        ? {}
        : { cachedBy: [...cached.keys()], cachedTokens: (key) => Math.min(work.promptTokens, cached.get(key) ?? 0) },
    };
  }

  /** Whether so many engines failed at it that the request itself may be the reason. */
  get poisonous(): boolean {
    return this.#engineFailures >= MOST_ENGINE_FAILURES;
  }

  /** Tells a step. */
  step(step: Told): void {
    this.#options.step?.({ ...step, ms: performance.now() - this.#came });
  }

  /** One is woken for the request. */
  wakes({ peer, name }: AsleepModel): void {
    this.#woken = peer;
    this.step({ type: "woken", key: peer, name });
  }

  /** Tells the candidates. */
  ranked(all: readonly Choice[]): void {
    if (this.#options.step === undefined) return;
    this.step({ type: "ranked", candidates: all.map((one) => rankedCandidate(one, this.demand)) });
  }

  /** The question as one candidate gets it: with the wish for its tokens where it can tell them. */
  question(choice: Choice): InferenceRequest {
    const { input: { kind }, count_only } = this.#request;
    const writes = (kind === "chat" || kind === "completion") && count_only !== true;
    if (!writes || choice.upstream || this.#state.plain.has(choice.key)) return this.#request;
    return { ...this.#request, ids: true };
  }

  /** Asks one. */
  ask(
    choice: Choice,
    { request, how, written = 0 }: { request: InferenceRequest; how: HowAsked; written?: number },
  ): Attempt {
    const { key, name, model, loaded, queued, roundTripMs, claim } = choice;
    const { priority, principal, keepAliveMs, trace, direct } = this.#options;
    const number = this.#attempts.size;
    this.#state.breakers.asked(key, model);
    this.#state.pooled.asked(choice);
    this.#state.moves.asked(key);
    this.step({ type: "asked", key, name, attempt: number, ...how === "beside" ? { hedge: true } : {} });
    const promptTokens = this.demand.promptTokens + written;
    const attempt = new Attempt({
      choice,
      request,
      written,
      number,
      asking: {
        priority,
        principal,
        ...keepAliveMs === undefined ? {} : { keepAliveMs },
        ...trace === undefined ? {} : { trace },
        ...direct === undefined ? {} : { direct },
      },
      observation: this.#state.observations.begin(key, model, {
        promptTokens,
        cachedTokens: this.demand.cachedTokens?.(key) ?? 0,
        expectedMs: estimateMs(choice, { ...this.demand, promptTokens, answerTokens: 0 }),
        claim,
        waits: !loaded || queued > 0,
        ...roundTripMs < Infinity ? { roundTripMs } : {},
      }),
    });
    this.#attempts.set(attempt, number);
    return attempt;
  }

  /** The first part of one is there: it leads. */
  began(attempt: Attempt, { among }: { among: readonly Choice[] }): void {
    const { key, name, model } = attempt.choice;
    this.#state.breakers.began(key, model);
    this.#state.prefixes.note(key, this.#chain);
    this.tell(attempt, { among });
    this.step({ type: "began", key, name });
  }

  /** Another one goes on with the answer. */
  continued(
    attempt: Attempt,
    { among, tokens, gapMs, moved }: { among: readonly Choice[]; tokens: number; gapMs: number; moved: boolean },
  ): void {
    const { key, name, model } = attempt.choice;
    this.#state.breakers.began(key, model);
    this.tell(attempt, { among });
    this.step({ type: "continued", key, name, tokens, gapMs, ...moved ? { moved } : {} });
  }

  /** Tells the client who answers, once. */
  tell(attempt: Attempt, { among }: { among: readonly Choice[] }): void {
    if (this.#told.has(attempt)) return;
    this.#told.add(attempt);
    const { choice } = attempt;
    const { name, peer, upstream } = choice;
    const number = this.#attempts.get(attempt) ?? 0;
    const why = routeReason(choice, { attempt: number, among, demand: this.demand });
    const reason = peer !== null && peer === this.#woken ? `${why}, woken for it` : why;
    this.#options.chosen?.({ name, peer, attempt: number, reason, ...upstream ? { upstream } : {} });
  }

  /** One failed after so many tokens had been shown. True where it is to be asked again, without the wish for tokens. */
  failed(attempt: Attempt, { error, shown }: { error: ArkError; shown: number }): boolean {
    const { choice, request } = attempt;
    const { key, name, model, peer } = choice;
    const { breakers, plain, logger } = this.#state;
    if (this.#options.signal.aborted) return false;
    if (peer !== null && request.ids === true && request.resume === undefined && plain.learn(key, error)) return true;
    const { code } = error;
    if (BREAKS.has(code)) {
      breakers.failed(key, model);
      this.#state.prefixes.forget(key);
    } else breakers.left(key, model);
    if (code === "engine_failed") this.#engineFailures++;
    this.step({ type: "failed", key, name, code, tokens: shown });
    if (!TRY_NEXT.has(code)) return false;
    // A peer's own words stay out of the log: they could repeat the prompt.
    const who = peer === null ? { reason: error.message } : { peer };
    const what = shown === 0 ? "A candidate did not answer" : "A candidate broke off its answer";
    logger.warn(what, { model: this.#request.model, code, ...who, ...shown === 0 ? {} : { tokens: shown } });
    return false;
  }

  /** What a client is told of a failure. */
  shown({ choice: { peer } }: Attempt, error: ArkError): ArkError {
    return peer !== null && BETWEEN_NODES.has(error.code)
      ? new ArkError("unavailable", error.message, { cause: error })
      : error;
  }

  /** One was silent for too long. */
  stalled({ name }: Choice): ArkError {
    return new ArkError("unavailable", `${name} fell silent in the middle of its answer`);
  }

  /** The answer of one is complete. */
  succeeded({ choice: { key, model } }: Attempt): void {
    this.#state.breakers.succeeded(key, model);
  }

  /** Stops whoever is still at it. Mostly that is nobody, and an error that nobody gets is not made. */
  stopAll(cause?: unknown): void {
    for (const attempt of this.#attempts.keys()) if (!attempt.over) this.stop(attempt, cancelled(cause));
  }

  /** Stops one whose answer is not needed. */
  stop(attempt: Attempt, reason: ArkError): void {
    if (attempt.over) return;
    this.#state.breakers.left(attempt.choice.key, attempt.choice.model);
    attempt.stop(reason);
  }

  /** Fulfilled when all have let go of the request. */
  async settled(): Promise<void> {
    await Promise.all([...this.#attempts.keys()].map(({ settled }) => settled));
  }
}

/** A candidate with its numbers. */
export function rankedCandidate(choice: Choice, demand: Demand): {
  key: string;
  name: string;
  peer: Choice["peer"];
  estimateMs: number;
  loaded: boolean;
  inFlight: number;
  queued: number;
} {
  const { key, name, peer, loaded, inFlight, queued } = choice;
  return { key, name, peer, estimateMs: estimateMs(choice, demand), loaded, inFlight, queued };
}

/** The client went away. */
export function cancelled(cause: unknown): ArkError {
  return new ArkError("cancelled", "The request was cancelled", { cause });
}
