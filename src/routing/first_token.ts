import { type AnswerPart, ArkError, type ErrorCode, type InferenceEvent } from "@ark/node/protocol";
import type { Attempt } from "./attempt.ts";
import type { Choice } from "./choices.ts";
import type { AnswerStart } from "./transcript.ts";

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

/** The beginning and the first part of an answer. */
export interface Beginning {
  /** How it begins. */
  readonly start: AnswerStart;
  /** Its first part, or its end where there is none. */
  readonly event: InferenceEvent;
  /** Parts before it, which the token that it tells completed, too. */
  readonly before: readonly AnswerPart[];
}

/** The one whose first part is there. */
export interface Lead extends Beginning {
  /** Goes on with it. */
  readonly attempt: Attempt;
}

/** A candidate that was asked, and its beginning once that is there. */
export interface Begun {
  /** The request to it. */
  readonly attempt: Attempt;
  /** Rejected with an `ArkError`. */
  readonly beginning: Promise<Beginning>;
}

/** Whether one is asked while another one is asked, too. */
export type HowAsked = "alone" | "beside";

/** What {@linkcode FirstToken} goes by. */
export interface FirstTokenOptions {
  /** Who may be asked, best first. */
  line: readonly Choice[];
  /** Aborted when the answer is not wanted any more: then nobody else is asked. */
  signal: AbortSignal;
  /** One who is asked already. */
  begun?: Begun | null;
  /** How many are asked at once from the beginning. @default {1} */
  atOnce?: number;
  /** Asks one, beside others or not. */
  ask(choice: Choice, how: HowAsked): Attempt;
  /** One has begun, and nobody else is asked meanwhile. */
  started(attempt: Attempt): void;
  /** Stops one that is not needed: another one leads, or nobody wants the answer. */
  stop(attempt: Attempt): void;
  /** One failed. True where it is to be asked the same in another form. */
  failed(attempt: Attempt, error: ArkError): boolean;
  /** Whether another one may do better than one that failed; absent: as {@linkcode TRY_NEXT} says. */
  tryNext?(code: ErrorCode): boolean;
  /** Looks whether one may lead; throws an `ArkError` where it may not. */
  accept?(start: AnswerStart): void;
  /** How long one may take to its first part, in milliseconds, as long as there are others. */
  patienceMs(choice: Choice, started: boolean): number;
  /** Whether one in the line is worth giving up another one for that is late; absent: each is. */
  sound?(choice: Choice): boolean;
  /** When somebody is asked beside the first one, in milliseconds; absent: never. */
  hedgeMs?(choice: Choice): number;
  /** Who that is, or undefined. */
  hedge?(line: readonly Choice[]): Choice | undefined;
}

interface Runner extends Begun {
  readonly choice: Choice;
  /** Monotonic time after which the next one is asked instead. */
  until: number;
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
    try {
      for (;;) {
        if (this.#running.length === 0 && !this.#askNext("alone")) return null;
        await this.#something();
        for (let news = this.#news.shift(); news !== undefined; news = this.#news.shift()) {
          const { runner, beginning } = news;
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
    const started = () => {
      for (const one of this.#running) {
        if (one.attempt === attempt) one.until = this.#until(choice, "started");
      }
      if (this.#running.length === 1 && (this.#options.atOnce ?? 1) === 1) this.#options.started(attempt);
    };
    this.#watch({ attempt, beginning: attempt.first(started) }, choice);
  }

  #watch({ attempt, beginning }: Begun, choice: Choice): void {
    const runner: Runner = { attempt, beginning, choice, until: this.#until(choice, "asked") };
    this.#running.push(runner);
    beginning.then(
      (beginning) => this.#tell({ runner, beginning, error: null }),
      (error) => this.#tell({ runner, beginning: null, error }),
    );
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
    if (!this.#others) return;
    for (const { until, attempt, choice } of this.#running) {
      if (now < until) continue;
      attempt.stop(new ArkError("unavailable", `${choice.name} took too long to begin its answer`));
    }
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
