import type { InferOptions, LateSink, PartSink } from "@ark/node/inference";
import {
  type AnswerPart,
  ArkError,
  type InferenceEvent,
  type InferenceRequest,
  toArkError,
  tokensOf,
} from "@ark/node/protocol";
import type { Choice } from "./choices.ts";
import type { Beginning } from "./first_token_options.ts";
import type { Observation } from "./observations.ts";
import { answeredAt } from "./request_ledger.ts";
import type { StallWatch } from "./stall_watch.ts";
import { tracedAttempt } from "./traced_attempt.ts";
import type { AnswerStart } from "./transcript.ts";

/** What an {@linkcode Attempt} is made of. */
export interface AttemptOptions {
  /** Who is asked. */
  choice: Choice;
  /** What it is asked. */
  request: InferenceRequest;
  /** How, but for the signal, which is the attempt's own. */
  asking: Omit<InferOptions, "signal">;
  /** Is told how it goes. */
  observation: Observation;
  /** Tokens of an answer that is gone on with, which are read like the prompt. @default {0} */
  written?: number;
  /** How many were asked before. @default {0} */
  number?: number;
}

/** What asking on comes to after the end. One for all: an error of its own would have its stack written down with each answer. */
const ENDED = new ArkError("internal", "The answer has ended");

/** So many tokens, and so long, others may wait to hear of what was shown: the totals of an answer that runs, say. */
const MOST_LATE = 16;
const LATE_MS = 1_000;

/**
 * One request to one candidate. Events come one by one when they are asked for; nothing is read ahead. It can be stopped at any
 * time, and whoever waits for an event hears of it at once, however long the candidate takes to notice.
 */
export class Attempt {
  /** Who is asked. */
  readonly choice: Choice;
  /** What it is asked. */
  readonly request: InferenceRequest;
  /** Watches over the silence between two events, where it is to be watched. */
  watch: StallWatch | null = null;
  /** Takes its parts by the short way, where it leads. */
  sink: PartSink | null = null;
  /** Looks, now and then while it leads, whether a faster one is to go on: it waits then for the promise. */
  moves: (() => Promise<void> | null) | null = null;
  readonly #observation: Observation;
  readonly #written: number;
  readonly #hangUp = new AbortController();
  readonly #events: AsyncIterator<InferenceEvent>;
  #waiting: PromiseWithResolvers<InferenceEvent> | null = null;
  #started = false;
  /** Parts that were shown and nobody has taken note of, and when each was. */
  #late: AnswerPart[] = [];
  #times: number[] = [];
  #lookedAt = 0;
  /** Why nothing more comes. */
  #over: ArkError | null = null;
  #settled: Promise<unknown> = Promise.resolve();

  /** Asks. */
  constructor({ choice, request, asking, observation, written = 0, number = 0 }: AttemptOptions) {
    this.choice = choice;
    this.request = request;
    this.#observation = observation;
    this.#written = written;
    // What a traced request writes is counted on the way that all of it takes.
    const { direct: wanted, ...others } = asking;
    const direct = wanted === undefined || asking.trace !== undefined ? {} : { direct: this.#direct() };
    const options = { ...others, signal: this.#hangUp.signal, ...direct };
    const { name, key } = choice;
    const attempt = { name, where: answeredAt(key), attempt: number };
    this.#events = tracedAttempt(choice.backend, { request, options, attempt })[Symbol.asyncIterator]();
  }

  /** Whether nothing more comes. */
  get over(): boolean {
    return this.#over !== null;
  }

  /** Fulfilled when the candidate has let go of the request; only after the end or {@linkcode stop}. */
  get settled(): Promise<unknown> {
    return this.#settled;
  }

  /**
   * The next event; not to be called again before it is there, nor after `end`.
   *
   * @throws {ArkError} what the candidate failed with, or what it was stopped with.
   */
  next(): Promise<InferenceEvent> {
    if (this.#over !== null) return Promise.reject(this.#over);
    const waiting = this.#waiting = Promise.withResolvers<InferenceEvent>();
    this.watch?.wait();
    this.#events.next().then(this.#arrived, this.#failed);
    return waiting.promise;
  }

  /** Reads until the first part that tells its token, or its end, is there. */
  async first(started: (start: AnswerStart) => void): Promise<Beginning> {
    const start = await this.next();
    if (start.type !== "start") throw this.stop(this.#disorder());
    started(start);
    const before: AnswerPart[] = [];
    for (;;) {
      const event = await this.next();
      const told = start.prompt_ids === undefined || event.type === "start" || event.type === "end" ||
        !("tokens" in event) || event.tokens > 0;
      if (told) return { start, event, before };
      before.push(event);
    }
  }

  /** Takes note of what was shown until now. With `rest` nothing more is waited for after the last of it. */
  catchUp({ rest = false }: { rest?: boolean } = {}): void {
    const [parts, times] = [this.#late, this.#times];
    if (parts.length === 0) return;
    [this.#late, this.#times] = [[], []];
    parts.forEach((part, index) => {
      const at = times[index];
      this.#observation.tokens(tokensOf(part), at);
      if (rest && index === parts.length - 1) this.watch?.rest(at);
      else this.watch?.waitOn(at);
    });
    this.sink?.later?.note(parts, times);
  }

  /** Gives it up for a reason, which is returned: what it failed with before, where it had. */
  stop(reason: ArkError): ArkError {
    if (this.#over !== null) return this.#over;
    this.#end(reason);
    this.#hangUp.abort(reason);
    this.#settled = Promise.resolve(this.#events.return?.()).catch(() => {});
    return reason;
  }

  #direct(): PartSink {
    const isOpen = () => this.#over === null && this.#waiting !== null && this.sink?.open === true;
    return {
      get open() {
        return isOpen();
      },
      take: (parts) => this.#handed(parts),
    };
  }

  #handed(parts: readonly AnswerPart[]): Promise<void> | null {
    // What comes after it was stopped is nobody's.
    if (this.#over !== null || this.sink === null) return null;
    const { later } = this.sink;
    const [only] = parts;
    if (later !== undefined && only !== undefined && parts.length === 1 && isToken(only)) {
      return this.#shown(parts, { only, later });
    }
    this.catchUp();
    let tokens = 0;
    for (const part of parts) tokens += tokensOf(part);
    if (tokens === 0) this.#observation.firstToken();
    else this.#observation.tokens(tokens);
    const full = this.sink.take(parts);
    if (this.#over !== null || this.watch === null) return full;
    if (full === null) this.watch.waitOn();
    else {
      this.watch.rest();
      this.#waitAfter(full);
    }
    return full;
  }

  /** Shows a token at once; what else is to be done about it is done for some at a time. */
  #shown(
    parts: readonly AnswerPart[],
    { only, later }: { only: AnswerPart; later: LateSink },
  ): Promise<void> | null {
    const now = performance.now();
    // Before it is shown: whoever reads it may stop everything at once.
    this.#late.push(only);
    this.#times.push(now);
    const full = later.show(parts);
    if (this.#over !== null) return full;
    if (full !== null) {
      this.catchUp({ rest: true });
      this.#waitAfter(full);
      return full;
    }
    if (this.#late.length < MOST_LATE && now - this.#lookedAt < LATE_MS) return null;
    this.#lookedAt = now;
    this.catchUp();
    return this.moves?.() ?? null;
  }

  /** Time that our own reader takes is not the candidate's silence. */
  #waitAfter(full: Promise<void>): void {
    void full.then(() => {
      if (this.#over === null) this.watch?.wait();
    });
  }

  #end(reason: ArkError): void {
    this.catchUp();
    this.#over = reason;
    this.watch?.[Symbol.dispose]();
    this.#observation.end(reason.code);
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(reason);
  }

  readonly #arrived = ({ done, value: event }: IteratorResult<InferenceEvent, unknown>): void => {
    const waiting = this.#waiting;
    // What comes after it was stopped is nobody's.
    if (waiting === null || this.#over !== null) return;
    this.catchUp();
    this.watch?.rest();
    if (done === true) return this.#end(this.#brokenOff());
    if ((event.type === "start") === this.#started) return void this.stop(this.#disorder());
    if (event.type === "start") {
      this.#started = true;
      this.#observation.started(event.prompt_tokens + this.#written);
    } else if (event.type === "end") {
      this.#observation.end("ok");
      this.watch?.[Symbol.dispose]();
      this.#over = ENDED;
      this.#settled = Promise.resolve(this.#events.return?.()).catch(() => {});
    } else {
      this.#observation.firstToken();
      this.#observation.tokens(tokensOf(event));
    }
    this.#waiting = null;
    waiting.resolve(event);
  };

  readonly #failed = (thrown: unknown): void => {
    if (this.#over === null) this.#end(toArkError(thrown));
  };

  #brokenOff(): ArkError {
    return new ArkError("unavailable", `${this.choice.name} broke off before its answer was complete`);
  }

  #disorder(): ArkError {
    return new ArkError("unavailable", `${this.choice.name} sent its answer in a wrong order`);
  }
}

/** Whether a part is what most are: text, and the tokens that it is made of. */
function isToken(part: AnswerPart): boolean {
  return (part.type === "text" || part.type === "reasoning") && part.tokens > 0;
}
