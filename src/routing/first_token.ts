import { ArkError, type ErrorCode } from "@ark/node/protocol";
import type { Attempt } from "./attempt.ts";
import type { Choice } from "./choices.ts";
import type { Beginning, Begun, FirstTokenOptions, HowAsked, Lead } from "./first_token_options.ts";

/** Failures that say something about the one who was asked and not about the question. */
export const TRY_NEXT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unavailable",
  "busy",
  "engine_failed",
  "forbidden",
  "model_not_shared",
  "model_not_found",
  "revoked",
  "unauthenticated",
  "clock",
  "replay",
  "audit_unavailable",
  "internal",
]);

/** How often it is looked for a better place while a request waits: between these two times, in milliseconds. */
const LOOK_MS = { least: 375, most: 1_125 };
/** How often a request may be asked elsewhere while it waits. */
const MOST_ELSEWHERE = 4;
/** How long one that is asked instead of another one may take to begin, besides its round trip, in milliseconds. */
const BEGIN_MS = 300;
const LONGEST_ROUND_TRIP_MS = 1_000;

interface Runner extends Begun {
  readonly choice: Choice;
  /** Monotonic time after which the next one is asked instead. */
  until: number;
  /** Whether it has begun with the request. */
  started: boolean;
  /** Monotonic time until which it has to begin, where the request waits in another line as well. */
  readonly beginBy: number;
}

/**
 * Asks one candidate after the other until the first part of an answer is there; asks a second one beside the first where
 * that is late. The first part decides; all others are stopped at once.
 *
 * Whoever takes too long is given up only as long as there is another one who could be asked: the last one has all the time
 * that it needs.
 */
export class FirstToken {
  readonly #options: FirstTokenOptions;
  #line: Choice[];
  #running: Runner[] = [];
  readonly #news: { runner: Runner; beginning: Beginning | null; error: unknown }[] = [];
  #wake: () => void = () => {};
  #hedgeAt = Infinity;
  #lookAt = Infinity;
  #elsewhere = 0;
  #failure: { attempt: Attempt; error: ArkError } | null = null;

  /** Asks nobody yet. */
  constructor(options: FirstTokenOptions) {
    this.#options = options;
    this.#line = [...options.line];
  }

  /** The last one that failed, or null. */
  get failure(): { attempt: Attempt; error: ArkError } | null {
    return this.#failure;
  }

  /**
   * The one that leads, or null where all have failed.
   *
   * @throws {ArkError} where the question itself is at fault: nobody else is asked then.
   */
  async lead(): Promise<Lead | null> {
    const { begun = null, atOnce = 1, hedgeMs } = this.#options;
    if (begun !== null) this.#watch(begun, begun.attempt.choice);
    for (let count = this.#running.length; count < atOnce; count++) this.#askNext(count > 0 ? "beside" : "alone");
    const [first] = this.#running;
    if (first !== undefined && hedgeMs !== undefined) this.#hedgeAt = performance.now() + hedgeMs(first.choice);
    if (atOnce === 1 && this.#options.elsewhere !== undefined) this.#lookLater();
    try {
      for (;;) {
        if (this.#running.length === 0 && !this.#askNext("alone")) return null;
        await this.#something();
        for (let news = this.#news.shift(); news !== undefined; news = this.#news.shift()) {
          const { runner, beginning } = news;
          if (!this.#running.includes(runner)) continue;
          this.#running = this.#running.filter((one) => one !== runner);
          const error = beginning === null ? news.error as ArkError : this.#objection(runner, beginning);
          if (error !== null) this.#note(runner, error);
          else if (beginning !== null) return { attempt: runner.attempt, ...beginning };
        }
        this.#lookAtClock();
      }
    } finally {
      this.#stopAll();
    }
  }

  /** Asks the next one in the line; false where there is none. */
  #askNext(how: HowAsked): boolean {
    const choice = this.#line.shift();
    if (choice === undefined || this.#options.signal.aborted) return false;
    this.#ask(choice, how);
    return true;
  }

  #ask(choice: Choice, how: HowAsked): void {
    const attempt = this.#options.ask(choice, how);
    const started = () => this.#started(attempt);
    this.#watch({ attempt, beginning: attempt.first(started) }, choice, how);
  }

  #started(attempt: Attempt): void {
    const runner = this.#running.find((one) => one.attempt === attempt);
    if (runner === undefined) return;
    runner.started = true;
    runner.until = this.#until(runner.choice, "started");
    // Of two in whose lines it waits the one that begins first keeps it, before anything is read twice.
    if (this.#isRace) {
      for (const other of this.#running.filter((one) => one !== runner && !one.started)) this.#takeBack(other);
      const { hedgeMs } = this.#options;
      if (hedgeMs !== undefined && this.#hedgeAt < Infinity) this.#hedgeAt = performance.now() + hedgeMs(runner.choice);
    }
    if (this.#running.length === 1 && (this.#options.atOnce ?? 1) === 1) this.#options.started(attempt);
  }

  /** Whether a request waits in two lines. */
  get #isRace(): boolean {
    return this.#running.some(({ beginBy }) => beginBy < Infinity);
  }

  /** Lets one go that has not begun. It may be asked again when all others have failed. */
  #takeBack(runner: Runner): void {
    this.#running = this.#running.filter((one) => one !== runner);
    this.#line.push(runner.choice);
    this.#options.stop(runner.attempt);
    this.#options.tookBack?.(runner.choice);
  }

  #watch({ attempt, beginning }: Begun, choice: Choice, how: HowAsked = "alone"): void {
    const begin = BEGIN_MS + Math.min(LONGEST_ROUND_TRIP_MS, choice.roundTripMs);
    const beginBy = how === "instead" ? performance.now() + begin : Infinity;
    const runner: Runner = { attempt, beginning, choice, until: this.#until(choice, "asked"), started: false, beginBy };
    this.#running.push(runner);
    beginning.then(
      (beginning) => this.#tell({ runner, beginning, error: null }),
      (error) => this.#tell({ runner, beginning: null, error }),
    );
  }

  #lookLater(): void {
    const { least, most } = LOOK_MS;
    // Not all who wait come upon the same free slot at once.
    this.#lookAt = performance.now() + least + (most - least) * Math.random();
  }

  #tell(news: { runner: Runner; beginning: Beginning | null; error: unknown }): void {
    this.#news.push(news);
    this.#wake();
  }

  #until(choice: Choice, phase: "asked" | "started"): number {
    return performance.now() + this.#options.patienceMs(choice, phase === "started");
  }

  /** Why one whose first part is there may not lead, or null. */
  #objection({ attempt }: Runner, { start }: Beginning): ArkError | null {
    try {
      this.#options.accept?.(start);
      return null;
    } catch (error) {
      return attempt.stop(error as ArkError);
    }
  }

  #note({ attempt, choice }: Runner, error: ArkError): void {
    if (this.#options.failed(attempt, error)) return this.#ask(choice, this.#running.length > 0 ? "beside" : "alone");
    this.#failure = { attempt, error };
    // Another one may answer a question that this one finds wrong, as long as it is at it anyway.
    const { tryNext = (code) => TRY_NEXT.has(code) } = this.#options;
    if (!tryNext(error.code) && this.#running.length === 0) throw error;
  }

  /** Waits for news, or for the time at which something is to be done. */
  async #something(): Promise<void> {
    if (this.#news.length > 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    let at = this.#line.length === 0 ? Infinity : this.#hedgeAt;
    if (this.#others) { for (const { until } of this.#running) at = Math.min(at, until); }
    if (this.#waits) at = Math.min(at, this.#lookAt);
    if (this.#running.length > 1) {
      for (const { started, beginBy } of this.#running) if (!started) at = Math.min(at, beginBy);
    }
    const timer = at === Infinity ? undefined : setTimeout(resolve, Math.max(1, at - performance.now()));
    await promise;
    clearTimeout(timer);
  }

  #lookAtClock(): void {
    if (this.#news.length > 0 || this.#running.length === 0) return;
    const now = performance.now();
    if (now >= this.#hedgeAt) {
      this.#hedgeAt = Infinity;
      const beside = this.#running.length === 1 ? this.#options.hedge?.(this.#line) : undefined;
      if (beside !== undefined) {
        this.#line = this.#line.filter((one) => one !== beside);
        this.#ask(beside, "beside");
      }
    }
    const tardy = this.#running.find(({ started, beginBy }) => !started && now >= beginBy);
    if (tardy !== undefined && this.#running.length > 1) this.#takeBack(tardy);
    if (now >= this.#lookAt) this.#lookElsewhere();
    if (!this.#others) return;
    for (const { until, attempt, choice } of this.#running) {
      if (now < until) continue;
      attempt.stop(new ArkError("unavailable", `${choice.name} took too long to begin its answer`));
    }
  }

  #lookElsewhere(): void {
    this.#lookLater();
    const [waiting] = this.#running;
    const to = this.#waits && waiting !== undefined ? this.#options.elsewhere?.(waiting.choice) : undefined;
    if (to === undefined) return;
    this.#elsewhere++;
    this.#line = this.#line.filter(({ key }) => key !== to.key);
    this.#ask(to, "instead");
  }

  /** Whether the request is in one line, and may be asked elsewhere. */
  get #waits(): boolean {
    const [only] = this.#running;
    return this.#running.length === 1 && only?.started === false && this.#elsewhere < MOST_ELSEWHERE;
  }

  /** Whether there is one who could be asked instead of one who is late. */
  get #others(): boolean {
    const { sound = () => true } = this.#options;
    return this.#line.some((choice) => sound(choice));
  }

  #stopAll(): void {
    for (const { attempt } of this.#running) this.#options.stop(attempt);
    this.#running = [];
  }
}
