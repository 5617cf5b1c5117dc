import { type ArkError, type InferenceEvent, toArkError } from "@ark/node/protocol";
import { AnswerOrder } from "./answer_order.ts";
import type { AnswerRun } from "./answer_run.ts";

/** How long the status waits for a first event, in milliseconds. */
const HEADERS_MS = 10_000;

/** Longest silence of a stream, in milliseconds: proxies cut it after 30 to 60 s. */
const KEEP_ALIVE_MS = 15_000;

/** Silence is measured in this many steps, so that a token costs a counter and not a timer. */
const STEPS = 3;

/** Writes an answer as one family of APIs streams it. The events come in their order: start, parts, end. */
export interface StreamWriter {
  /** What is sent for an event, or null for nothing. */
  write(event: InferenceEvent): Uint8Array | null;
  /** What is sent when the answer is complete and on the record. */
  finish(): Uint8Array;
  /** What is sent of a failure; nothing follows it. */
  fail(failure: ArkError): Uint8Array;
}

/** How an answer is streamed. */
export interface AnswerStreamOptions {
  /** Writes it. */
  writer: StreamWriter;
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
export async function answerStream(run: AnswerRun, options: AnswerStreamOptions): Promise<ReadableStream<Uint8Array>> {
  const first = run.next();
  if (!await settles(first, HEADERS_MS)) return streamOf(run, { ...options, first, begun: true });
  if (await first === null) new AnswerOrder().finish();
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

interface Begun extends AnswerStreamOptions {
  first: Promise<InferenceEvent | null>;
  begun: boolean;
}

/** At least one event for each pull, and nothing is made ahead: who stops reading stops the engine. */
function streamOf(run: AnswerRun, { first, begun, writer, keepAlive, failed }: Begun): ReadableStream<Uint8Array> {
  const order = new AnswerOrder();
  let next: Promise<InferenceEvent | null> | null = first;
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
