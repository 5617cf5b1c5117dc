import { type ArkError, type InferenceEvent, joinParts } from "@ark/node/protocol";
import type { PartSink } from "./backend.ts";

/** What an {@linkcode EventStream} tells the one who feeds it. */
export interface EventStreamOptions {
  /** Called once, when the first event is asked for. */
  begin(): void;
  /** Called once, when the reader leaves before the end. */
  leave(): void;
  /** Called when nothing more will come, for whatever reason; at most once per reason. */
  over(): void;
  /** Takes parts by the short way, where it is open. */
  direct?: PartSink | undefined;
}

/**
 * An answer on its way to one reader. Not an async generator, for two reasons: leaving takes effect at once even while
 * the reader waits for an event, and an event costs one promise. Texts that the reader was too slow to take become one,
 * so that what waits is never more than the text itself.
 */
export class EventStream implements AsyncIterableIterator<InferenceEvent> {
  readonly #options: EventStreamOptions;
  #events: InferenceEvent[] = [];
  #taken = 0;
  #error: ArkError | undefined;
  #state: "new" | "open" | "ended" | "left" = "new";
  /** Whether the short way is open, as far as is known. */
  #open = false;
  /** Present while its taker has no room. */
  #full: Promise<void> | null = null;
  #waiting: PromiseWithResolvers<IteratorResult<InferenceEvent, undefined>>[] = [];

  /** Makes a stream that has not begun. */
  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** Adds an event; `end` closes the stream. */
  push(event: InferenceEvent): void {
    if (this.#state !== "open") return;
    if (event.type === "end") this.#state = "ended";
    else if (this.#hand(event)) return;
    const reader = this.#reader();
    if (reader !== undefined) this.#give(reader, event);
    else if (!this.#merge(event)) this.#events.push(event);
    if (event.type === "end") this.#release();
  }

  /** Ends the stream with an error, which follows the events that wait. */
  fail(error: ArkError): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    const reader = this.#reader();
    if (reader !== undefined) reader.reject(error);
    else this.#error = error;
    this.#release();
  }

  /** The next event. */
  next(): Promise<IteratorResult<InferenceEvent, undefined>> {
    if (this.#state === "new") {
      this.#state = "open";
      this.#options.begin();
    }
    const value = this.#events[this.#taken];
    if (value !== undefined) {
      this.#taken++;
      if (this.#taken === this.#events.length) {
        this.#events = [];
        this.#taken = 0;
      }
      this.#open = false;
      return Promise.resolve({ done: false, value });
    }
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) return Promise.reject(error);
    if (this.#state !== "open") return Promise.resolve({ done: true, value: undefined });
    const waiting = Promise.withResolvers<IteratorResult<InferenceEvent, undefined>>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  /** Leaves the stream: nothing more comes, and the work behind it ends. */
  return(): Promise<IteratorResult<InferenceEvent, undefined>> {
    const open = this.#state === "open";
    this.#state = "left";
    this.#events = [];
    this.#taken = 0;
    this.#error = undefined;
    this.#release();
    if (open) this.#options.leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The stream itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Hands a part over by the short way, where it is open and its taker has room. */
  #hand(event: InferenceEvent): boolean {
    if (event.type === "start" || event.type === "end" || this.#full !== null || this.#waiting.length === 0) {
      return false;
    }
    const { direct } = this.#options;
    // Asked once: it stays open until something is given to the iteration.
    this.#open ||= direct?.open === true;
    if (!this.#open || direct === undefined) return false;
    const full = direct.take([event]);
    if (full !== null) this.#full = full.then(this.#goOn);
    return true;
  }

  #give(reader: PromiseWithResolvers<IteratorResult<InferenceEvent, undefined>>, value: InferenceEvent): void {
    this.#open = false;
    reader.resolve({ done: false, value });
  }

  /** The taker of the short way has room again: it gets what came meanwhile, or else the iteration does. */
  readonly #goOn = (): void => {
    this.#full = null;
    const came = this.#events.splice(0);
    for (let event = came.shift(); event !== undefined; event = came.shift()) {
      if (this.#hand(event)) continue;
      const reader = this.#reader();
      if (reader === undefined) came.unshift(event);
      else this.#give(reader, event);
      if (reader === undefined) break;
    }
    this.#events = came;
    if (this.#full !== null || came.length > 0 || this.#state === "open") return;
    const error = this.#error;
    const reader = error === undefined ? undefined : this.#reader();
    if (reader !== undefined) {
      this.#error = undefined;
      reader.reject(error);
    }
    this.#dismiss();
  };

  /** Who waits for an event now; nobody gets one before what was handed over was taken. */
  #reader(): PromiseWithResolvers<IteratorResult<InferenceEvent, undefined>> | undefined {
    return this.#full === null ? this.#waiting.shift() : undefined;
  }

  #merge(event: InferenceEvent): boolean {
    const last = this.#events.at(-1);
    const merged = last === undefined ? null : joinParts(last, event);
    if (merged === null) return false;
    this.#events[this.#events.length - 1] = merged;
    return true;
  }

  #release(): void {
    // Whoever waits for what comes after a full taker gets that first.
    if (this.#full === null || this.#state === "left") this.#dismiss();
    this.#options.over();
  }

  #dismiss(): void {
    for (const reader of this.#waiting.splice(0)) reader.resolve({ done: true, value: undefined });
  }
}
