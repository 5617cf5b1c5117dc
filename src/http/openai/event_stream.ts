import { type ArkError, type InferenceEvent, toArkError } from "@ark/node/protocol";
import type { AnswerRun } from "../api/answer_run.ts";
import type { AnswerShape } from "./answer_shape.ts";
import { ChunkEncoder, DONE, errorEvent, KEEP_ALIVE } from "./sse.ts";
import { brokenOff } from "./whole_answer.ts";

/** How long the status waits for a first event, in milliseconds. */
const HEADERS_MS = 10_000;

/** Longest silence of a stream, in milliseconds: proxies cut it after 30 to 60 s. */
const KEEP_ALIVE_MS = 15_000;

/** Silence is measured in this many steps, so that a token costs a counter and not a timer. */
const STEPS = 3;

/** How an answer is streamed. */
export interface EventStreamOptions {
  /** Writes the chunks. */
  shape: AnswerShape;
  /** Id of the answer. */
  id: string;
  /** When it was made, in seconds since 1970. */
  created: number;
  /** Whether the last chunk says what it cost. */
  includeUsage: boolean;
  /** Told of a failure that came too late for a status. */
  failed(failure: ArkError): void;
}

/**
 * Waits for the first event, so that a failure until then can have a status of its own, and gives the stream of the rest.
 *
 * A model can take minutes to load, and proxies and clients give up on an answer without a first byte. So after
 * 10 s the stream begins with a comment: from then on the status is 200, and a failure is an event.
 *
 * @throws {ArkError} what the answer failed with before its first event.
 */
export async function eventStream(run: AnswerRun, options: EventStreamOptions): Promise<ReadableStream<Uint8Array>> {
  const first = run.next();
  if (!await settles(first, HEADERS_MS)) return streamOf(run, { ...options, first, begun: KEEP_ALIVE });
  if (await first === null) throw brokenOff();
  return streamOf(run, { ...options, first, begun: null });
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

interface Begun extends EventStreamOptions {
  first: Promise<InferenceEvent | null>;
  begun: Uint8Array | null;
}

/** One chunk for each pull, and nothing is made ahead: who stops reading stops the engine. */
function streamOf(run: AnswerRun, { begun, failed, ...options }: Begun): ReadableStream<Uint8Array> {
  const chunks = chunksOf(run, options);
  let silence = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (begun !== null) controller.enqueue(begun);
      timer = setInterval(() => {
        silence = (silence + 1) % STEPS;
        // Below 0 lies what the client has not taken yet: it is not waiting for a sign of life.
        if (silence === 0 && controller.desiredSize === 0) controller.enqueue(KEEP_ALIVE);
      }, KEEP_ALIVE_MS / STEPS);
      // A stream that the server never began to read is not cancelled either.
      run.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    },
    async pull(controller) {
      let last: Uint8Array | null = null;
      try {
        const { done, value } = await chunks.next();
        silence = 0;
        if (!done) return controller.enqueue(value);
        run.end();
      } catch (error) {
        if (run.signal.aborted) return controller.error(error);
        const failure = toArkError(error);
        failed(failure);
        last = errorEvent(failure);
        await run.stop();
      }
      clearInterval(timer);
      if (last !== null) controller.enqueue(last);
      controller.close();
    },
    async cancel() {
      clearInterval(timer);
      await run.stop();
    },
  }, { highWaterMark: 0 });
}

async function* chunksOf(
  run: AnswerRun,
  { first, shape, id, created, includeUsage }: Omit<Begun, "begun" | "failed">,
): AsyncGenerator<Uint8Array, void> {
  let encoder: ChunkEncoder | null = null;
  let ended = false;
  for (let event = await first; event !== null; event = await run.next()) {
    if (event.type === "start") {
      encoder = new ChunkEncoder(shape, { id, created, model: event.model });
      const opening = encoder.opening();
      if (opening !== null) yield opening;
    } else if (encoder === null || ended) {
      throw brokenOff();
    } else if (event.type === "text") {
      if (event.text !== "") yield encoder.text(event.text);
    } else if (event.type === "end") {
      ended = true;
      yield encoder.finish(event.finish_reason);
      if (includeUsage) yield encoder.usage(event.usage);
    }
  }
  if (!ended) throw brokenOff();
  // Only now is the request recorded as complete.
  yield DONE;
}
