import { ArkError, type InferenceEvent, type InferenceRequest, toArkError } from "@ark/node/protocol";
import type { Attempt } from "./attempt.ts";
import { Asker, cancelled, type RoutingState } from "./asker.ts";
import type { Choice } from "./choices.ts";
import { FirstToken, TRY_NEXT } from "./first_token.ts";
import type { Begun, Lead } from "./first_token_options.ts";
import { hedgeRules } from "./hedge_rules.ts";
import { leadSink } from "./lead_sink.ts";
import { Mover } from "./mover.ts";
import { patienceMs } from "./patience.ts";
import type { Demand } from "./rank.ts";
import type { RouteOptions } from "./route.ts";
import { StallRule } from "./stall_rule.ts";
import { StallWatch } from "./stall_watch.ts";
import { Successors } from "./successors.ts";
import { ShownParts } from "./shown_parts.ts";
import { type AnswerEnd, Transcript, withoutIds } from "./transcript.ts";

/** Silence of this very node's engine is no matter of a network: it reads another prompt, or hangs. */
const OWN_STALL_MS = 3_000;
/** The reader of an answer that goes to a faster node waits no longer than this for it, in milliseconds. */
const LONGEST_MOVE_MS = 2_000;

/**
 * One request on its way to its answer.
 *
 * | phase | one who answers fails | one who answers is slow |
 * |---|---|---|
 * | until the first part | the next candidate is asked, and nobody notices | another one is asked beside it, see `HedgeSetting` |
 * | after it | one with the same weights goes on from the tokens that were shown | at half of a stall it is prepared, then it goes on |
 *
 * Where nobody can go on the answer ends with the error of the one who failed, never silently.
 */
export class Journey {
  readonly #state: RoutingState;
  readonly #request: InferenceRequest;
  readonly #options: RouteOptions;
  readonly #asker: Asker;
  readonly #transcript: Transcript;
  readonly #shown: ShownParts;
  readonly #successors: Successors;
  /** One who has begun to read what was written so far, because the one who answers is silent. */
  #prepared: Begun | null = null;
  readonly #mover: Mover;
  /** Fulfilled when it is known whether a faster one goes on; null while none was asked for that. */
  #moving: Promise<void> | null = null;
  /** Whose answer goes on at a faster one. */
  #left: Attempt | null = null;

  /** Prepares the way; nobody is asked yet. */
  constructor(state: RoutingState, request: InferenceRequest, options: RouteOptions) {
    this.#state = state;
    this.#request = request;
    this.#options = options;
    this.#asker = new Asker(state, { request, options });
    this.#transcript = new Transcript(request);
    this.#shown = new ShownParts(this.#transcript);
    this.#successors = new Successors(state, { asker: this.#asker, transcript: this.#transcript, options });
    this.#mover = new Mover(state, { request, options, asker: this.#asker, transcript: this.#transcript });
  }

  /**
   * The answer. `start` comes together with what follows it, so that it always belongs to the one whose text is shown.
   *
   * @throws {ArkError} from the iteration.
   */
  async *events(): AsyncGenerator<InferenceEvent> {
    const { signal } = this.#options;
    const asker = this.#asker;
    const transcript = this.#transcript;
    const abort = () => asker.stopAll(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    let outcome: ArkError["code"] | "ok" = "cancelled";
    try {
      if (signal.aborted) throw cancelled(signal.reason);
      let { attempt, start, event, before } = await this.#begin();
      transcript.begin(start);
      this.#lead(attempt);
      yield withoutIds(start);
      for (;;) {
        let failure: unknown = null;
        if (event.type !== "start") {
          const { parts, fault } = event.type === "end"
            ? this.#shown.rest(before)
            : this.#shown.take([...before, event]);
          before = [];
          for (const part of parts) yield part;
          if (fault !== null) failure = attempt.stop(fault);
        }
        if (failure === null && event.type === "end") {
          try {
            const end = transcript.end(event);
            outcome = "ok";
            this.#succeeded(attempt, end);
            return yield end;
          } catch (error) {
            failure = attempt.stop(toArkError(error));
          }
        }
        if (failure === null) {
          if (this.#prepared !== null) this.#dropPrepared();
          try {
            const moving = this.#move(attempt);
            if (moving !== null) await moving;
            event = await attempt.next();
            continue;
          } catch (error) {
            failure = error;
          }
        }
        const next = await this.#goOn(attempt, failure);
        if (next === null) {
          outcome = "ok";
          for (const part of this.#shown.rest([]).parts) yield part;
          return yield transcript.full();
        }
        ({ attempt, event, before } = next);
      }
    } catch (error) {
      const failure = signal.aborted ? cancelled(error) : toArkError(error);
      outcome = failure.code;
      throw failure;
    } finally {
      signal.removeEventListener("abort", abort);
      asker.stopAll();
      asker.step({ type: "ended", outcome, tokens: transcript.tokens });
      await asker.settled();
    }
  }

  /** Until the first part of the answer. */
  async #begin(): Promise<Lead> {
    const state = this.#state;
    const asker = this.#asker;
    const demand = asker.demand;
    const { model } = this.#request;
    const look = () => state.candidates(model, { options: this.#options, demand });
    const { signal } = this.#options;
    const near = await state.lately.found(model, { look, signal });
    const all = near.length > 0 ? near : await this.#awake(look);
    asker.ranked(all);
    state.budget.asked();
    state.moves.came();
    const first = await this.#race(all, all);
    if (first instanceof FirstToken === false) return first;
    // A connection may break on its way to a peer that is well: who can be reached gets a second chance.
    const line = await this.#successors.again(look);
    const second = line.length === 0 ? first : await this.#race(line, all);
    if (second instanceof FirstToken === false) return second;
    const failed = second.failure ?? first.failure;
    throw failed === null
      ? state.nobody(this.#request.model, this.#options)
      : asker.shown(failed.attempt, failed.error);
  }

  /**
   * Who can answer when one of the owner's nodes was woken, since nobody that is awake has the model.
   *
   * @throws {ArkError} `unavailable` where it does not wake.
   */
  async #awake(look: () => Choice[]): Promise<Choice[]> {
    const { signal } = this.#options;
    const asleep = this.#state.asleep(this.#request.model, this.#options);
    if (asleep === undefined || signal.aborted) return [];
    this.#asker.wakes(asleep);
    const awake = await this.#state.wake({ peer: asleep.peer, model: asleep.model.id }, signal);
    if (signal.aborted) throw cancelled(signal.reason);
    const found = look();
    if (found.length > 0 || awake) return found;
    throw new ArkError(
      "unavailable",
      `The model '${asleep.model.id}' is on ${asleep.name} alone, which sleeps and did not wake: switch it on, or see ` +
        `'ark-node wake'`,
    );
  }

  async #race(line: readonly Choice[], all: readonly Choice[]): Promise<Lead | FirstToken> {
    const { hedge, breakers, moves } = this.#state;
    const asker = this.#asker;
    const race = typeof hedge === "object" ? hedge.race : 1;
    const reading: Demand = { ...asker.demand, answerTokens: 0 };
    const first = new FirstToken({
      line,
      signal: this.#options.signal,
      atOnce: race,
      ask: (choice, how) => asker.ask(choice, { request: asker.question(choice), how }),
      started: (attempt) => asker.tell(attempt, { among: all }),
      stop: (attempt) => asker.stop(attempt, cancelled(undefined)),
      failed: (attempt, error) => {
        this.#successors.note(attempt, error);
        return asker.failed(attempt, { error, shown: 0 });
      },
      patienceMs: (choice, started) => patienceMs(choice, { reading, started }),
      sound: ({ key, model }) => breakers.state(key, model) !== "open",
      ...moves.on
        ? {
          elsewhere: (waiting: Choice) => this.#mover.elsewhere(waiting),
          tookBack: ({ key }: Choice) => moves.tookBack(key),
        }
        : {},
      ...hedgeRules(this.#state, { reading, among: all }),
    });
    const lead = await first.lead();
    if (lead === null) return first;
    asker.began(lead.attempt, { among: all });
    return lead;
  }

  /** Somebody else goes on with the answer; null where it is complete but for its end. */
  async #goOn(dead: Attempt, thrown: unknown): Promise<Lead | null> {
    const failure = toArkError(thrown);
    if (this.#options.signal.aborted) throw failure;
    const moved = this.#left === dead;
    if (!moved) this.#asker.failed(dead, { error: failure, shown: this.#transcript.tokens });
    const shown = moved ? nobodyFaster() : this.#asker.shown(dead, failure);
    if (!moved && !TRY_NEXT.has(failure.code)) throw shown;
    // What has all the tokens that it may have needs nobody else.
    if (this.#transcript.left === 0 && this.#transcript.resumable) return null;
    const prepared = this.#prepared;
    this.#prepared = null;
    const lead = await this.#successors.goOn(dead, { code: failure.code, prepared, moved });
    if (lead === null) throw shown;
    this.#shown.drop();
    this.#lead(lead.attempt);
    return lead;
  }

  /** What one who answers hands over by the short way is treated like what it gives to the iteration. */
  #lead(attempt: Attempt): void {
    this.#watch(attempt);
    this.#mover.lead(attempt);
    const { direct } = this.#options;
    if (direct === undefined) return;
    attempt.moves = () => this.#move(attempt);
    attempt.sink = leadSink({
      direct,
      shown: this.#shown,
      shows: () => {
        if (this.#prepared !== null) this.#dropPrepared();
      },
      fault: (fault) => void attempt.stop(fault),
      moves: attempt.moves,
    });
  }

  /** Watches over the silence of one who answers, where another one could go on. */
  #watch(attempt: Attempt): void {
    const { stall, observations, gaps } = this.#state;
    const { choice } = attempt;
    if (stall === "off" || choice.digest === null) return;
    const { itlMs, itlDeviationMs } = observations.of(choice.key, choice.model);
    const rule = new StallRule({
      setting: stall,
      link: gaps.of(choice.key),
      ...itlMs === null ? {} : { prior: { meanMs: itlMs, deviationMs: itlDeviationMs ?? itlMs / 2 } },
      ...choice.key === "local" ? { leastMs: OWN_STALL_MS } : {},
    });
    attempt.watch = new StallWatch(rule, {
      looks: () => attempt.catchUp(),
      half: () => this.#prepare(attempt, "worth it"),
      stalled: () => this.#stalled(attempt),
    });
  }

  /**
   * It is a stall: whoever comes first goes on, the one who is silent or the one who has read what was written until then.
   * So a hiccup that is over sooner than that costs the reader nothing, and changes nothing.
   */
  #stalled(attempt: Attempt): boolean {
    if (this.#transcript.left === 0 && this.#transcript.resumable) {
      attempt.stop(this.#asker.stalled(attempt.choice));
      return true;
    }
    if (this.#prepared !== null && this.#successors.late(this.#prepared)) this.#dropPrepared();
    this.#prepare(attempt, "needed");
    const begun = this.#prepared;
    begun?.beginning.then(
      () => {
        if (this.#prepared === begun) attempt.stop(this.#asker.stalled(attempt.choice));
      },
      () => {},
    );
    return false;
  }

  /** Lets a much faster one go on, where there is one: until it is known whether it does, nothing more is shown. */
  #move(attempt: Attempt): Promise<void> | null {
    if (attempt.over || this.#prepared !== null) return this.#moving;
    const to = this.#mover.better();
    if (to === null) return null;
    const begun = this.#prepared = this.#successors.read(to);
    return this.#moving = this.#moveTo(begun, attempt).finally(() => this.#moving = null);
  }

  async #moveTo(begun: Begun, from: Attempt): Promise<void> {
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), LONGEST_MOVE_MS);
    const reads = begun.beginning.then(({ start }) => this.#transcript.fits(start), (error) => {
      if (this.#prepared === begun) this.#asker.failed(begun.attempt, { error, shown: this.#transcript.tokens });
      return false;
    });
    const faster = await Promise.race([reads, late.promise]) === true;
    clearTimeout(timer);
    // Who had failed meanwhile is gone on with anyway, and what was shown meanwhile makes a beginning useless.
    if (this.#prepared !== begun) return;
    const { moves } = this.#state;
    if (!faster || from.over) {
      moves.tookBack(begun.attempt.choice.key);
      return this.#dropPrepared();
    }
    this.#mover.moved();
    moves.tookBack(from.choice.key);
    this.#left = from;
    this.#asker.stop(from, unfinished());
  }

  /** Lets another one read what was written, in case that it has to go on. */
  #prepare(attempt: Attempt, why: "worth it" | "needed"): void {
    const begun = this.#prepared === null ? this.#successors.prepare(attempt, why) : null;
    if (begun === null) return;
    this.#prepared = begun;
    begun.beginning.catch((error) => {
      if (this.#prepared !== begun) return;
      this.#prepared = null;
      this.#asker.failed(begun.attempt, { error, shown: this.#transcript.tokens });
    });
  }

  #dropPrepared(): void {
    const begun = this.#prepared;
    this.#prepared = null;
    if (begun !== null) this.#asker.stop(begun.attempt, cancelled(undefined));
  }

  #succeeded(attempt: Attempt, { usage }: AnswerEnd): void {
    this.#asker.succeeded(attempt);
    const { prompt_tokens: promptTokens, completion_tokens: answerTokens } = usage;
    this.#state.demands.note(this.#request, { promptTokens, answerTokens });
  }
}

/** The one that was to be faster failed, and so did all others. */
function nobodyFaster(): ArkError {
  return new ArkError("unavailable", "A faster node was to go on with the answer, and neither it nor another one did");
}

/** Why one is stopped that wrote more slowly than another one will. */
function unfinished(): ArkError {
  return new ArkError("cancelled", "A faster node goes on with the answer");
}
