import { type ArkError, type InferenceEvent, type InferenceRequest, toArkError } from "@ark/node/protocol";
import { AnswerOrder } from "../api/answer_order.ts";
import { type Answerer, AnswerRun } from "../api/answer_run.ts";
import type { AnsweringNode } from "../api/answers.ts";
import type { StreamOrder, StreamSource } from "../api/answer_stream.ts";
import type { RunningAnswer } from "../api/serving.ts";

/** An event of one of several answers. */
export interface ChoiceEvent {
  /** Which answer, from 0. */
  readonly index: number;
  /** The event. */
  readonly event: InferenceEvent;
}

/** Most answers of one request that are made at the same time; the others wait for these. */
const MOST_AT_ONCE = 8;

/** One of the answers. */
interface Choice {
  readonly index: number;
  readonly request: InferenceRequest;
  run: AnswerRun | null;
  begun: boolean;
}

/** What came of asking a choice for its next event. */
type Outcome = { choice: Choice } & ({ event: InferenceEvent | null } | { failure: ArkError });

/**
 * Several answers to one request of a client, made at the same time: each is a request of its own to the mesh. They are
 * ended together, and the failure of one is the failure of all. Where as many at once are refused as `busy`, those that are
 * left wait until another one of them has ended.
 */
export class AnswerRuns implements StreamSource<ChoiceEvent>, RunningAnswer {
  readonly #answerer: Answerer;
  readonly #client: AbortSignal;
  readonly #hangUp = new AbortController();
  readonly #choices: readonly Choice[];
  /** Those that have no run. */
  readonly #waiting: Choice[];
  /** Those whose next event nobody has asked for yet. */
  readonly #idle: Choice[] = [];
  readonly #outcomes: Outcome[] = [];
  #wake: (() => void) | null = null;
  /** Takes what comes by the short way. */
  #receiver: ((events: readonly ChoiceEvent[]) => Promise<void> | null) | null = null;
  #running = 0;
  #most = MOST_AT_ONCE;

  /** Prepares the answers; nothing happens before the first {@linkcode next}. `client` aborts when the client goes away. */
  constructor(
    answerer: Answerer,
    { requests, client }: { requests: readonly InferenceRequest[]; client: AbortSignal },
  ) {
    this.#answerer = answerer;
    this.#client = client;
    this.#choices = requests.map((request, index) => ({ index, request, run: null, begun: false }));
    this.#waiting = [...this.#choices];
    if (client.aborted) this.#leave();
    else client.addEventListener("abort", this.#leave, { once: true });
  }

  /** How many answers there are. */
  get size(): number {
    return this.#choices.length;
  }

  /** Aborts when the answers are not wanted any more. */
  get signal(): AbortSignal {
    return this.#hangUp.signal;
  }

  /** Who answers: of several, the first one that is known. */
  get node(): AnsweringNode | null {
    return this.#choices.find(({ run }) => run?.node)?.run?.node ?? null;
  }

  /** Whether an engine has begun. */
  get ran(): boolean {
    return this.#choices.some(({ run }) => run?.ran);
  }

  /**
   * The next event of any of them, or null after the last. No event is made that was not asked for, but for one of each
   * answer.
   *
   * @throws {ArkError}
   */
  next(): Promise<ChoiceEvent | null> {
    const [only] = this.#choices;
    return only !== undefined && this.#choices.length === 1 ? this.#nextOf(only) : this.#nextOfAny();
  }

  /** Lets parts come by the short way, those of each answer after its start: see {@linkcode AnswerRun.receive}. */
  receive(take: (events: readonly ChoiceEvent[]) => Promise<void> | null): void {
    this.#receiver = take;
    for (const choice of this.#choices) if (choice.begun) this.#open(choice);
  }

  #open({ index, run }: Choice): void {
    const take = this.#receiver;
    if (take !== null) run?.receive((parts) => take(parts.map((event) => ({ index, event }))));
  }

  /** Lets go of the client; called when the answers have ended by themselves. */
  end(): void {
    this.#client.removeEventListener("abort", this.#leave);
    for (const { run } of this.#choices) run?.end();
  }

  /** Ends the work, and waits until it has. */
  async stop(): Promise<void> {
    this.end();
    this.#leave();
    await Promise.all(this.#choices.map(({ run }) => run?.stop()));
  }

  async #nextOf(choice: Choice): Promise<ChoiceEvent | null> {
    choice.run ??= this.#start(choice);
    const event = await choice.run.next();
    choice.begun = true;
    return event === null ? null : { index: choice.index, event };
  }

  async #nextOfAny(): Promise<ChoiceEvent | null> {
    for (;;) {
      this.#begin();
      for (const choice of this.#idle.splice(0)) this.#ask(choice);
      let outcome = this.#outcomes.shift();
      if (outcome === undefined) {
        if (this.#running === 0) return null;
        await new Promise<void>((resolve) => this.#wake = resolve);
        outcome = this.#outcomes.shift();
      }
      const event = outcome === undefined ? null : this.#take(outcome);
      if (event !== null) return event;
    }
  }

  readonly #leave = (): void => this.#hangUp.abort(this.#client.reason);

  #begin(): void {
    while (this.#running < this.#most) {
      const choice = this.#waiting.shift();
      if (choice === undefined) return;
      choice.run = this.#start(choice);
      this.#running++;
      this.#idle.push(choice);
    }
  }

  #start({ request }: Choice): AnswerRun {
    return new AnswerRun(this.#answerer, { request, client: this.signal });
  }

  #ask(choice: Choice): void {
    const take = (outcome: Outcome) => {
      this.#outcomes.push(outcome);
      this.#wake?.();
      this.#wake = null;
    };
    choice.run?.next().then(
      (event) => take({ choice, event }),
      (error: unknown) => take({ choice, failure: toArkError(error) }),
    );
  }

  #take(outcome: Outcome): ChoiceEvent | null {
    const { choice } = outcome;
    if ("failure" in outcome) {
      this.#running--;
      if (outcome.failure.code !== "busy" || choice.begun || this.#running === 0) throw outcome.failure;
      this.#most = this.#running;
      choice.run?.end();
      choice.run = null;
      this.#waiting.push(choice);
      return null;
    }
    if (outcome.event === null) {
      this.#running--;
      return null;
    }
    if (!choice.begun) {
      choice.begun = true;
      this.#open(choice);
    }
    this.#idle.push(choice);
    return { index: choice.index, event: outcome.event };
  }
}

/** Sees to it that each of several answers has a start, parts and an end. */
export class ChoicesOrder implements StreamOrder<ChoiceEvent> {
  readonly #orders: readonly AnswerOrder[];

  /** Begins before the first event of so many answers. */
  constructor(size: number) {
    this.#orders = Array.from({ length: size }, () => new AnswerOrder());
  }

  /**
   * Takes note of an event.
   *
   * @throws {ArkError} `unavailable` where it cannot be the next one of its answer.
   */
  take({ index, event }: ChoiceEvent): void {
    this.#orders[index]?.take(event);
  }

  /**
   * Takes note that nothing more comes.
   *
   * @throws {ArkError} `unavailable` where an answer has had no end.
   */
  finish(): void {
    for (const order of this.#orders) order.finish();
  }
}
