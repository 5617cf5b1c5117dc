import { type ArkError, type InferenceEvent, joinParts } from "@ark/node/protocol";

/** What an {@linkcode EventStream} tells the one who feeds it. */
export interface EventStreamOptions {
  /** Called once, when the first event is asked for. */
  begin(): void;
  /** Called once, when the reader leaves before the end. */
  leave(): void;
  /** Called when nothing more will come, for whatever reason; at most once per reason. */
  over(): void;
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
  #waiting: PromiseWithResolvers<IteratorResult<InferenceEvent, undefined>>[] = [];

  /** Makes a stream that has not begun. */
  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** Adds an event; `end` closes the stream. */
  push(event: InferenceEvent): void {
    if (this.#state !== "open") return;
    if (event.type === "end") this.#state = "ended";
    const reader = this.#waiting.shift();
    if (reader !== undefined) reader.resolve({ done: false, value: event });
    else if (!this.#merge(event)) this.#events.push(event);
    if (event.type === "end") this.#release();
  }

  /** Ends the stream with an error, which follows the events that wait. */
  fail(error: ArkError): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    const reader = this.#waiting.shift();
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

  #merge(event: InferenceEvent): boolean {
    const last = this.#events.at(-1);
    const merged = last === undefined ? null : joinParts(last, event);
    if (merged === null) return false;
    this.#events[this.#events.length - 1] = merged;
    return true;
  }

  #release(): void {
    for (const reader of this.#waiting.splice(0)) reader.resolve({ done: true, value: undefined });
    this.#options.over();
  }
}
