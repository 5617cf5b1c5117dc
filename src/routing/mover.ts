import type { InferenceRequest } from "@ark/node/protocol";
import type { Asker, RoutingState } from "./asker.ts";
import type { Attempt } from "./attempt.ts";
import { answersSooner, endsSooner, isFree, isLong, type Rest } from "./better_place.ts";
import type { Choice } from "./choices.ts";
import type { RouteOptions } from "./route.ts";
import type { Transcript } from "./transcript.ts";

/** Waiting for the next token, in milliseconds, between two looks for a better place for a running answer. */
const LOOK_MS = 750;
/** Fewer tokens tell no pace. */
const LEAST_TOKENS = 8;
/** How often one answer may go elsewhere, and how often another one may be asked for that. */
const MOST_MOVES = 1;
const MOST_TRIALS = 2;

/** What a {@linkcode Mover} is made of. */
export interface MoverOptions {
  /** What is asked. */
  request: InferenceRequest;
  /** Who may be asked. */
  options: RouteOptions;
  /** Knows how much there is to do. */
  asker: Asker;
  /** What was shown. */
  transcript: Transcript;
}

/**
 * Finds a better place for one request that somebody is at already: another node for one that waits in a line, as long as
 * nothing was read of it, and a faster one for an answer that turns out to be long.
 */
export class Mover {
  readonly #state: RoutingState;
  readonly #parts: MoverOptions;
  #leader: Attempt | null = null;
  /** Tokens that had been shown when the one who leads began, and how long it had been waited for at the last look. */
  #before = 0;
  #lookedAt = 0;
  #moves = 0;
  #trials = 0;

  /** Looks at nobody yet. */
  constructor(state: RoutingState, parts: MoverOptions) {
    this.#state = state;
    this.#parts = parts;
  }

  /** Who would begin with a request so much sooner than one in whose line it waits that it is to be asked instead. */
  elsewhere(waiting: Choice): Choice | undefined {
    const { moves } = this.#state;
    if (waiting.upstream || !moves.mayTakeBack(waiting.key) || !moves.mayLook()) return undefined;
    const { asker: { demand } } = this.#parts;
    const all = this.#candidates(({ key, upstream }) => key === waiting.key || !upstream);
    const now = all.find(({ key }) => key === waiting.key) ?? waiting;
    return all.find((one) => one.key !== now.key && moves.mayTakeBack(one.key) && answersSooner(now, one, demand));
  }

  /** One leads from now on. */
  lead(attempt: Attempt): void {
    this.#leader = attempt;
    this.#before = this.#parts.transcript.tokens;
    this.#lookedAt = 0;
  }

  /** Who would write the rest of the answer so much sooner that it is worth to read all of it there; null: nobody. */
  better(): Choice | null {
    const { moves } = this.#state;
    const { transcript } = this.#parts;
    const watch = this.#leader?.watch ?? null;
    if (watch === null || watch.waitedMs - this.#lookedAt < LOOK_MS) return null;
    this.#lookedAt = watch.waitedMs;
    const tokens = transcript.tokens - this.#before;
    const done = this.#moves >= MOST_MOVES || this.#trials >= MOST_TRIALS || transcript.left === 0;
    if (done || tokens < LEAST_TOKENS || !transcript.resumable || !moves.mayMove) return null;
    const rest = this.#rest(watch.waitedMs / tokens);
    if (!isLong(rest) || !moves.mayLook()) return null;
    const { key, upstream } = this.#leader?.choice ?? {};
    if (upstream || key === undefined || !moves.mayTakeBack(key)) return null;
    const found = this.#candidates((one) => one.key !== key && one.digest === transcript.digest && isFree(one))
      .find((one) => moves.mayTakeBack(one.key) && endsSooner(rest, one));
    if (found === undefined) return null;
    this.#trials++;
    moves.moved();
    return found;
  }

  /** The answer goes on there. */
  moved(): void {
    this.#moves++;
  }

  #rest(paceMs: number): Rest {
    const { request, transcript: { promptTokens, tokens } } = this.#parts;
    return { promptTokens: promptTokens + tokens, answerTokens: this.#state.demands.rest(request, tokens), paceMs };
  }

  /** Those who can be asked and are well, best first. */
  #candidates(wanted: (choice: Choice) => boolean): Choice[] {
    const { request, options, asker } = this.#parts;
    const { breakers, plain } = this.#state;
    const { random: _, ...demand } = asker.demand;
    try {
      return this.#state.candidates(request.model, { options, demand, wanted }).filter(({ key, model }) =>
        breakers.state(key, model) === "closed" && !plain.has(key)
      );
    } catch {
      // Nobody is left who may be asked: whoever is at it goes on with it.
      return [];
    }
  }
}
