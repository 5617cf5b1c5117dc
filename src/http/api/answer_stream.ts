import { type ArkError, type InferenceEvent, toArkError } from "@ark/node/protocol";
import { AnswerOrder } from "./answer_order.ts";

/** How long the status waits for a first event, in milliseconds. */
const HEADERS_MS = 10_000;

/** Longest silence of a stream, in milliseconds: proxies cut it after 30 to 60 s. */
const KEEP_ALIVE_MS = 15_000;

/** Silence is measured in this many steps, so that a token costs a counter and not a timer. */
const STEPS = 3;

/** What is streamed: an answer, or several at once. */
export interface StreamSource<E> {
  /** Aborts when the answer is not wanted any more. */
  readonly signal: AbortSignal;
  /** The next event, or null after the last; throws an `ArkError`. */
  next(): Promise<E | null>;
  /** Lets go of the client; called when the answer has ended by itself. */
  end(): void;
  /** Ends the work, and waits until it has. */
  stop(): Promise<void>;
}

/** Sees to it that events come in their order; it throws an `ArkError` where they do not. */
export interface StreamOrder<E> {
  /** Takes note of an event. */
  take(event: E): void;
  /** Takes note that nothing more comes. */
  finish(): void;
}

/** Writes an answer as one family of APIs streams it. The events come in their order: start, parts, end. */
export interface StreamWriter<E = InferenceEvent> {
  /** What is sent for an event, or null for nothing. */
  write(event: E): Uint8Array | null;
  /** What is sent when the answer is complete and on the record. */
  finish(): Uint8Array;
  /** What is sent of a failure; nothing follows it. */
  fail(failure: ArkError): Uint8Array;
}

/** How an answer is streamed. */
export interface AnswerStreamOptions<E = InferenceEvent> {
  /** Writes it. */
  writer: StreamWriter<E>;
  /** A sign of life, which clients skip. */
  keepAlive: Uint8Array;
  /** Told of a failure that came too late for a status. */
  failed(failure: ArkError): void;
}

/**
 * Waits for the first event, so that a failure until then can have a status of its own, and gives the stream of the rest.
 *
 * A model can take minutes to load, and proxies and clients give up on an answer without a first byte. So after
 * 10 s the stream begins with a sign of life: from then on the status is 200, and a failure is an event.
 *
 * @throws {ArkError} what the answer failed with before its first event.
 */
export function answerStream(
  run: StreamSource<InferenceEvent>,
  options: AnswerStreamOptions,
): Promise<ReadableStream<Uint8Array>> {
  return orderedStream(run, { ...options, order: new AnswerOrder() });
}

/**
 * The same for events of any kind, with the order in which they must come.
 *
 * @throws {ArkError} what the answer failed with before its first event.
 */
export async function orderedStream<E>(
  run: StreamSource<E>,
  options: AnswerStreamOptions<E> & { order: StreamOrder<E> },
): Promise<ReadableStream<Uint8Array>> {
  const first = run.next();
  if (!await settles(first, HEADERS_MS)) return streamOf(run, { ...options, first, begun: true });
  if (await first === null) options.order.finish();
  return streamOf(run, { ...options, first, begun: false });
}

/** Whether a promise settles within some time. */
async function settles(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const settled = promise.then(() => true, () => true);
  try {
    return await Promise.race([settled, late.then(() => false)]);
  } finally {
    clearTimeout(timer);
  }
}

interface Begun<E> extends AnswerStreamOptions<E> {
  order: StreamOrder<E>;
  first: Promise<E | null>;
  begun: boolean;
}

/** At least one event for each pull, and nothing is made ahead: who stops reading stops the engine. */
function streamOf<E>(
  run: StreamSource<E>,
  { first, begun, order, writer, keepAlive, failed }: Begun<E>,
): ReadableStream<Uint8Array> {
  let next: Promise<E | null> | null = first;
  let silence = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  const more = async (): Promise<Uint8Array | null> => {
    for (;;) {
      const event = await (next ?? run.next());
      next = null;
      silence = 0;
      if (event === null) return null;
      order.take(event);
      const bytes = writer.write(event);
      if (bytes !== null) return bytes;
    }
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (begun) controller.enqueue(keepAlive);
      timer = setInterval(() => {
        silence = (silence + 1) % STEPS;
        // Below 0 lies what the client has not taken yet: it is not waiting for a sign of life.
        if (silence === 0 && controller.desiredSize === 0) controller.enqueue(keepAlive);
      }, KEEP_ALIVE_MS / STEPS);
      // A stream that the server never began to read is not cancelled either.
      run.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    },
    async pull(controller) {
      let last: Uint8Array;
      try {
        const bytes = await more();
        if (bytes !== null) return controller.enqueue(bytes);
        order.finish();
        run.end();
        last = writer.finish();
      } catch (error) {
        if (run.signal.aborted) return controller.error(error);
        const failure = toArkError(error);
        failed(failure);
        last = writer.fail(failure);
        await run.stop();
      }
      clearInterval(timer);
      controller.enqueue(last);
      controller.close();
    },
    async cancel() {
      clearInterval(timer);
      await run.stop();
    },
  }, { highWaterMark: 0 });
}
