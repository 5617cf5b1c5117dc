import { ArkError, type InferenceEvent, toArkError } from "@ark/node/protocol";
import type { AnswerRun } from "../api/answer_run.ts";
import { type AnswerLines, type EndEvent } from "./answer_lines.ts";
import { AnswerPieces, pieceOf } from "./answer_pieces.ts";
import { jsonLine } from "./ndjson.ts";
import { ollamaErrorBody } from "./ollama_error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How long the status waits for a first event, in milliseconds. */
const HEADERS_MS = 10_000;

/** Longest silence of a stream, in milliseconds: proxies cut it after 30 to 60 s. */
const SILENCE_MS = 15_000;

/** Silence is measured in this many steps, so that a token costs a counter and not a timer. */
const STEPS = 3;

/** How an answer is streamed. */
export interface LineStreamOptions {
  /** Writes the lines. */
  lines: AnswerLines;
  /** Told of a failure that came too late for a status. */
  failed(failure: ArkError): void;
  /** How long the status waits for a first event, in milliseconds. @default {10000} */
  headersMs?: number;
}

/**
 * Waits for the first event, so that a failure until then can have a status of its own, and gives the stream of the rest.
 *
 * A model can take minutes to load, and proxies and clients give up on an answer without a first byte. So after 10 s
 * the stream begins with a line that says nothing; from then on the status is 200, and a failure is the line
 * `{"error":…}`, after which the stream ends without a line that is done. NDJSON has no comments, so such lines are also
 * what keeps a silent stream alive.
 *
 * @throws {ArkError} what the answer failed with before its first event.
 */
export async function lineStream(run: AnswerRun, options: LineStreamOptions): Promise<ReadableStream<Bytes>> {
  const { headersMs = HEADERS_MS } = options;
  const first = run.next();
  if (!await settles(first, headersMs)) return streamOf(run, { ...options, first, late: true });
  if (await first === null) throw brokenOff();
  return streamOf(run, { ...options, first, late: false });
}

/** An answer that stopped without its end. */
export function brokenOff(): ArkError {
  return new ArkError("unavailable", "The answer broke off before it was complete; ask again");
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

interface Begun extends LineStreamOptions {
  first: Promise<InferenceEvent | null>;
  /** Whether the stream begins before the first event. */
  late: boolean;
}

/** One line for each pull, and nothing is made ahead: who stops reading stops the engine. */
function streamOf(run: AnswerRun, { late, failed, lines, first }: Begun): ReadableStream<Bytes> {
  const made = linesOf(run, { lines, first });
  const nothing = () => jsonLine(lines.part(pieceOf({})));
  let silence = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream<Bytes>({
    start(controller) {
      if (late) controller.enqueue(nothing());
      timer = setInterval(() => {
        silence = (silence + 1) % STEPS;
        // Below 0 lies what the client has not taken yet: it is not waiting for a sign of life.
        if (silence === 0 && controller.desiredSize === 0) controller.enqueue(nothing());
      }, SILENCE_MS / STEPS);
      // A stream that the server never began to read is not cancelled either.
      run.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    },
    async pull(controller) {
      let last: Bytes | null = null;
      try {
        const { done, value } = await made.next();
        silence = 0;
        if (!done) return controller.enqueue(value);
        run.end();
      } catch (error) {
        if (run.signal.aborted) return controller.error(error);
        const failure = toArkError(error);
        failed(failure);
        last = jsonLine(ollamaErrorBody(failure));
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

async function* linesOf(
  run: AnswerRun,
  { lines, first }: { lines: AnswerLines; first: Promise<InferenceEvent | null> },
): AsyncGenerator<Bytes, void> {
  const pieces = new AnswerPieces();
  let started = false;
  let end: EndEvent | null = null;
  let all = "";
  for (let event = await first; event !== null; event = await run.next()) {
    if (event.type === "start") {
      started = true;
    } else if (!started || end !== null) {
      throw brokenOff();
    } else if (event.type === "end") {
      end = event;
    } else {
      const piece = pieces.push(event);
      if (piece === null) continue;
      all += piece.text;
      yield jsonLine(lines.part(piece));
    }
  }
  if (end === null) throw brokenOff();
  const rest = pieces.end(end.finish_reason);
  if (rest !== null) yield jsonLine(lines.part(rest));
  // Only now is the request recorded as complete: a client that saw a line that is done reads no further.
  yield jsonLine(lines.last(pieceOf({}), { end, all }));
}
