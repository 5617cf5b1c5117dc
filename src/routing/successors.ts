import { setTimeout as pause } from "node:timers/promises";
import type { NodeId } from "@ark/node/identity";
import type { ArkError, ErrorCode } from "@ark/node/protocol";
import { type Asker, cancelled, type RoutingState } from "./asker.ts";
import type { Attempt } from "./attempt.ts";
import type { Choice } from "./choices.ts";
import { FirstToken } from "./first_token.ts";
import type { Begun, HowAsked, Lead } from "./first_token_options.ts";
import { patienceMs } from "./patience.ts";
import type { Demand } from "./rank.ts";
import type { RouteOptions } from "./route.ts";
import type { Transcript } from "./transcript.ts";

/** Most times that an answer changes hands. */
const MOST_CONTINUATIONS = 6;
/** Most times that a successor reads what was written while the one who answers may only be slow. */
const MOST_PREPARED = 2;
/** How often all who could go on are gone through. */
const ROUNDS = 4;
/** Peers that are asked whether they are there after all, and how long that may take, in milliseconds. */
const ASKED_AGAIN = 3;
const ASKED_AGAIN_MS = 1_000;
/** Pause before one who was busy just now is asked again, in milliseconds. */
const SOON_MS = 100;
/** How long the return of those is waited for who broke off before anything was shown, in milliseconds. */
const RETURN_MS = 2_000;
/** First pause where those who could go on are busy, in milliseconds; each further one is twice as long. */
const BUSY_PAUSE_MS = 250;

/** Finds those who can go on with an answer, and lets them. */
export class Successors {
  readonly #state: RoutingState;
  readonly #asker: Asker;
  readonly #transcript: Transcript;
  readonly #options: RouteOptions;
  /** What each one failed with last. */
  readonly #failures = new Map<string, { code: ErrorCode; count: number; peer: NodeId | null; soon: boolean }>();
  /** Those who took too long to read what was written. */
  readonly #late = new Set<string>();
  #continuations = 0;
  #prepared = 0;
  #preparedAt = 0;

  /** Looks at nobody yet. */
  constructor(
    state: RoutingState,
    { asker, transcript, options }: { asker: Asker; transcript: Transcript; options: RouteOptions },
  ) {
    this.#state = state;
    this.#asker = asker;
    this.#transcript = transcript;
    this.#options = options;
  }

  /** Takes note that one failed before its first part. */
  note({ choice: { key, peer } }: Attempt, { code, retryAfterSeconds = Infinity }: ArkError): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    // A slot comes back a little after the answer that held it has ended.
    const soon = code === "busy" && retryAfterSeconds <= 1;
    this.#failures.set(key, { code, count, peer, soon });
  }

  /**
   * Lets another one read what was written so far, because the one who answers is silent; null where there is nobody, or
   * where it is not `needed` yet and not worth it: then it counts as a prompt that is read twice.
   */
  prepare({ choice: { key } }: Attempt, why: "worth it" | "needed"): Begun | null {
    if (this.#transcript.left === 0) return null;
    const line = this.#line();
    const next = line.find((one) => one.key !== key && !this.#late.has(one.key) && this.#sound(one));
    if (next === undefined) return null;
    if (why === "worth it") {
      const { hedge, budget } = this.#state;
      const able = next.loaded && next.inFlight < next.slots;
      if (hedge === "off" || this.#prepared >= MOST_PREPARED || !able || !budget.take(line)) return null;
      this.#prepared++;
    }
    this.#preparedAt = performance.now();
    return this.#begin(next, "beside");
  }

  /** Lets one read what was written so far, because it would write the rest much sooner than the one who answers. */
  read(choice: Choice): Begun {
    return this.#begin(choice, "instead");
  }

  /** Whether one who was prepared takes so long that another one is to be tried: it is not asked again then. */
  late({ attempt: { choice } }: Begun): boolean {
    const reading = { ...this.#demand(), answerTokens: 0 };
    if (performance.now() - this.#preparedAt < patienceMs(choice, { reading, started: false })) return false;
    this.#late.add(choice.key);
    return true;
  }

  /** The one who goes on instead of one who failed, or null where nobody can. */
  async goOn(
    dead: Attempt,
    { code, prepared, moved }: { code: ErrorCode; prepared: Begun | null; moved: boolean },
  ): Promise<Lead | null> {
    const { signal } = this.#options;
    const since = this.#transcript.lastAt;
    const tokens = this.#transcript.tokens;
    this.#failures.clear();
    if (!this.#transcript.resumable || (!moved && this.#continuations >= MOST_CONTINUATIONS)) return null;
    if (!moved) this.#continuations++;
    let begun = prepared;
    // The one who failed may be well, and only the connection to it have been lost. An engine that failed is left alone.
    const again = moved || code === "unavailable" || code === "busy";
    for (let round = 0; round < ROUNDS && !this.#asker.poisonous; round++) {
      const line = this.#line().filter(({ key }) =>
        this.#mayTry(key, round) && (key !== dead.choice.key || (again && round > 0))
      );
      const left = begun === null ? line : line.filter(({ key }) => key !== begun?.attempt.choice.key);
      if (left.length > 0 || begun !== null) {
        const lead = await this.#first(left, begun);
        if (lead !== null) {
          this.#asker.continued(lead.attempt, { among: line, tokens, gapMs: performance.now() - since, moved });
          return lead;
        }
      }
      begun = null;
      if (signal.aborted) return null;
      const busy = [...this.#failures.values()].some(({ code }) => code === "busy") ||
        (line.length === 0 && this.#state.lately.away);
      if (round > 0 && !busy) return null;
      if (busy) await pause(BUSY_PAUSE_MS * 2 ** round, undefined, { signal }).catch(() => {});
      await this.#askAgain([...again ? [dead.choice.peer] : [], ...this.#peers()]);
    }
    return null;
  }

  /**
   * Those who get a second chance to begin, after all have failed. Where nobody can be reached, the return of those who were
   * there is waited for a little: links that break all at once come back before a person would have asked again.
   */
  async again(candidates: () => Choice[]): Promise<Choice[]> {
    if (this.#asker.poisonous) return [];
    const { signal } = this.#options;
    const soon = [...this.#failures.values()].some((failed) => failed.soon);
    if (soon) await pause(SOON_MS, undefined, { signal }).catch(() => {});
    const until = performance.now() + RETURN_MS;
    for (let pauseMs = SOON_MS; !signal.aborted; pauseMs *= 2) {
      const peers = this.#peers();
      if (peers.length === 0 && !soon) return [];
      await this.#askAgain(peers);
      if (signal.aborted) return [];
      const found = candidates().filter(({ key }) => {
        const failed = this.#failures.get(key);
        return failed === undefined || ((failed.code === "unavailable" || failed.soon) && failed.count < 2);
      });
      const left = until - performance.now();
      if (found.length > 0 || left <= 0 || !this.#state.lately.away) return found;
      await pause(Math.min(pauseMs, left), undefined, { signal }).catch(() => {});
    }
    return [];
  }

  /** Those that broke off or could not be reached. */
  #peers(): NodeId[] {
    return [...this.#failures.values()].flatMap(({ code, peer }) =>
      code === "unavailable" && peer !== null ? [peer] : []
    );
  }

  async #askAgain(peers: readonly (NodeId | null)[]): Promise<void> {
    const { table } = this.#state;
    const some = peers.filter((peer) => peer !== null).slice(0, ASKED_AGAIN);
    if (table.ask === undefined || some.length === 0) return;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ASKED_AGAIN_MS);
    const either = AbortSignal.any([this.#options.signal, late.signal]);
    await Promise.all(some.map((peer) => table.ask?.(peer, either)));
    clearTimeout(timer);
  }

  #first(line: readonly Choice[], begun: Begun | null): Promise<Lead | null> {
    const asker = this.#asker;
    const transcript = this.#transcript;
    const reading = { ...this.#demand(), answerTokens: 0 };
    return new FirstToken({
      line,
      signal: this.#options.signal,
      begun,
      tryNext: () => true,
      ask: (choice, how) => this.#ask(choice, how),
      started: () => {},
      stop: (attempt) => asker.stop(attempt, cancelled(undefined)),
      failed: (attempt, error) => {
        this.note(attempt, error);
        asker.failed(attempt, { error, shown: transcript.tokens });
        return false;
      },
      accept: (start) => transcript.goOn(start),
      patienceMs: (choice, started) => patienceMs(choice, { reading, started }),
      sound: (choice) => this.#sound(choice),
    }).lead();
  }

  #begin(choice: Choice, how: HowAsked): Begun {
    const attempt = this.#ask(choice, how);
    const beginning = attempt.first(() => {});
    beginning.catch(() => {});
    return { attempt, beginning };
  }

  #ask(choice: Choice, how: HowAsked): Attempt {
    const { tokens: written } = this.#transcript;
    return this.#asker.ask(choice, { request: this.#transcript.rest(choice.model), how, written });
  }

  /** Those who have the weights, best first. */
  #line(): Choice[] {
    const { digest, resumable } = this.#transcript;
    if (!resumable || digest === null) return [];
    const { localOnly = false, permits } = this.#options;
    const same = this.#state.choices.withWeights(digest, { localOnly });
    const permitted = permits === undefined ? same : same.filter(({ model }) => permits(model));
    const able = permitted.filter(({ key }) => !this.#state.plain.has(key));
    return this.#state.order(able, this.#demand());
  }

  #demand(): Demand {
    const { promptTokens, tokens, left } = this.#transcript;
    const { answerTokens } = this.#asker.demand;
    const rest = Math.min(left ?? Infinity, Math.max(1, answerTokens - tokens));
    return { promptTokens: promptTokens + tokens, answerTokens: rest };
  }

  #sound({ key, model }: Choice): boolean {
    return this.#state.breakers.state(key, model) !== "open";
  }

  #mayTry(key: string, round: number): boolean {
    const failed = this.#failures.get(key);
    if (failed === undefined) return true;
    return round > 0 && (failed.code === "busy" || (failed.code === "unavailable" && failed.count < 2));
  }
}
