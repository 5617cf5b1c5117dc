import { type ArkError, toArkError } from "@ark/node/protocol";
import type { ByteSink, PushedBody } from "@ark/node/transport";
import type { AnswerStreamOptions, StreamOrder, StreamSource } from "./answer_stream.ts";

/** Longest silence of a stream, in milliseconds: proxies cut it after 30 to 60 s. */
const KEEP_ALIVE_MS = 15_000;

/** Silence is measured in this many steps, so that a token costs a counter and not a timer. */
const STEPS = 3;

/** An answer whose first event is on its way. */
export interface Begun<E> extends AnswerStreamOptions<E> {
  /** The order in which events must come. */
  order: StreamOrder<E>;
  /** The first event. */
  first: Promise<E | null>;
  /** Whether the stream begins with a sign of life, since the first event is late. */
  begun: boolean;
}

/**
 * The bytes of an answer, by one of two ways: as a stream, which makes at least one event for each pull and nothing ahead;
 * or pushed to a connection, which lets parts come by the short way, and waits where the connection takes no more. In both,
 * who stops reading stops the engine.
 */
export class AnswerFeed<E> implements PushedBody {
  readonly #run: StreamSource<E>;
  readonly #begun: Begun<E>;
  #next: Promise<E | null> | null;
  #silence = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** What went wrong on the short way. */
  #fault: ArkError | null = null;

  /** Prepares the bytes of an answer. */
  constructor(run: StreamSource<E>, begun: Begun<E>) {
    this.#run = run;
    this.#begun = begun;
    this.#next = begun.first;
  }

  /** The bytes as a stream. */
  stream(): ReadableStream<Uint8Array> {
    const { begun, keepAlive } = this.#begun;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        if (begun) controller.enqueue(keepAlive);
        // Below 0 lies what the client has not taken yet: it is not waiting for a sign of life.
        this.#watch(() => {
          if (controller.desiredSize === 0) controller.enqueue(keepAlive);
        });
        // A stream that the server never began to read is not cancelled either.
        this.#run.signal.addEventListener("abort", () => clearInterval(this.#timer), { once: true });
      },
      pull: async (controller) => {
        let last: Uint8Array;
        try {
          const bytes = await this.#more();
          if (bytes !== null) return controller.enqueue(bytes);
          last = this.#complete();
        } catch (error) {
          if (this.#run.signal.aborted) return controller.error(error);
          last = await this.#failure(error);
        }
        clearInterval(this.#timer);
        controller.enqueue(last);
        controller.close();
      },
      cancel: async () => {
        clearInterval(this.#timer);
        await this.#run.stop();
      },
    }, { highWaterMark: 0 });
  }

  /** Pushes the bytes. Rejects when the answer is not wanted any more. */
  async pipe(sink: ByteSink): Promise<void> {
    const { begun, keepAlive } = this.#begun;
    this.#watch(() => {
      if (sink.idle) sink.write(keepAlive);
    });
    if (begun) sink.write(keepAlive);
    try {
      for (let short = false;; short = true) {
        const bytes = await this.#more();
        if (this.#fault !== null) throw this.#fault;
        if (bytes === null) break;
        const full = sink.write(bytes);
        if (full !== null) await full;
        if (!short) this.#run.receive?.((events) => this.#take(events, sink));
      }
      sink.write(this.#complete());
    } catch (error) {
      if (this.#fault === null && this.#run.signal.aborted) throw error;
      sink.write(await this.#failure(this.#fault ?? error));
    } finally {
      clearInterval(this.#timer);
    }
  }

  /** Every so often with nothing to say. */
  #watch(silent: () => void): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      this.#silence = (this.#silence + 1) % STEPS;
      if (this.#silence === 0) silent();
    }, KEEP_ALIVE_MS / STEPS);
  }

  async #more(): Promise<Uint8Array | null> {
    const { order, writer } = this.#begun;
    for (;;) {
      const event = await (this.#next ?? this.#run.next());
      this.#next = null;
      this.#silence = 0;
      if (event === null) return null;
      order.take(event);
      const bytes = writer.write(event);
      if (bytes !== null) return bytes;
    }
  }

  /** What came by the short way leaves as one piece. */
  #take(events: readonly E[], sink: ByteSink): Promise<void> | null {
    const { order, writer } = this.#begun;
    this.#silence = 0;
    if (this.#fault !== null) return null;
    let full: Promise<void> | null = null;
    try {
      for (const event of events) {
        order.take(event);
        const bytes = writer.write(event);
        if (bytes !== null) full = sink.write(bytes);
      }
    } catch (error) {
      this.#fault ??= toArkError(error);
      void this.#run.stop();
    }
    return full;
  }

  #complete(): Uint8Array {
    this.#begun.order.finish();
    this.#run.end();
    return this.#begun.writer.finish();
  }

  async #failure(error: unknown): Promise<Uint8Array> {
    const failure = toArkError(error);
    this.#begun.failed(failure);
    const last = this.#begun.writer.fail(failure);
    await this.#run.stop();
    return last;
  }
}
