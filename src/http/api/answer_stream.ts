import type { ArkError, InferenceEvent } from "@ark/node/protocol";
import { notePushed } from "@ark/node/transport";
import { AnswerFeed, type Begun } from "./answer_feed.ts";
import { AnswerOrder } from "./answer_order.ts";

/** How long the status waits for a first event, in milliseconds. */
const HEADERS_MS = 10_000;

/** What is streamed: an answer, or several at once. */
export interface StreamSource<E> {
  /** Aborts when the answer is not wanted any more. */
  readonly signal: AbortSignal;
  /** The next event, or null after the last; throws an `ArkError`. */
  next(): Promise<E | null>;
  /**
   * Lets further events come to `take` while the next one is waited for, several at a time and without a promise for each;
   * called after the first event, by one who asks for each next one at once. `take` never throws; where it gives a
   * promise, nothing more is made before that is there.
   */
  receive?(take: (events: readonly E[]) => Promise<void> | null): void;
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

function streamOf<E>(run: StreamSource<E>, begun: Begun<E>): ReadableStream<Uint8Array> {
  const feed = new AnswerFeed(run, begun);
  const stream = feed.stream();
  notePushed(stream, feed);
  return stream;
}
