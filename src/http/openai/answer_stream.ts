import { type InferenceEvent, toArkError } from "@ark/node/protocol";
import type { AnswerShape } from "./answer_shape.ts";
import { openaiErrorBody } from "./openai_error.ts";

/** What {@linkcode answerStream} streams. */
export interface StreamedAnswer {
  /** Events after the first. */
  events: AsyncIterator<InferenceEvent>;
  /** Shapes them. */
  shape: AnswerShape;
  /** Whether the usage is sent at the end. */
  includeUsage: boolean;
  /** Ends the work; called when nobody reads any more. */
  hangUp(): void;
}

const ENCODER = new TextEncoder();
const KEEP_ALIVE = ENCODER.encode(": keep-alive\n\n");
/** Proxies cut connections that are silent for 30 to 60 s. */
const KEEP_ALIVE_MS = 15_000;

/**
 * An answer as server-sent events. A failure is an event `{"error":…}` after which nothing follows, not even `[DONE]`: a
 * client takes a stream that ends in the usual way for a whole answer.
 */
export function answerStream({ events, shape, includeUsage, hangUp }: StreamedAnswer): ReadableStream<Uint8Array> {
  const frames = framesOf(events, { shape, includeUsage });
  let timer: ReturnType<typeof setInterval> | undefined;
  let silent = false;
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      timer = setInterval(() => {
        if (silent) controller.enqueue(KEEP_ALIVE);
        silent = true;
      }, KEEP_ALIVE_MS);
    },
    pull: async (controller) => {
      const { done, value } = await frames.next();
      silent = false;
      if (!done) return controller.enqueue(value);
      clearInterval(timer);
      controller.close();
    },
    cancel: async () => {
      clearInterval(timer);
      hangUp();
      await frames.return();
    },
  }, { highWaterMark: 0 });
}

async function* framesOf(
  events: AsyncIterator<InferenceEvent>,
  { shape, includeUsage }: Pick<StreamedAnswer, "shape" | "includeUsage">,
): AsyncGenerator<Uint8Array, void> {
  try {
    const opening = shape.opening();
    if (opening !== null) yield frame(opening);
    for (;;) {
      const { done, value: event } = await events.next();
      if (done) return;
      if (event.type === "text") yield frame(shape.text(event.text));
      if (event.type === "end") {
        yield frame(shape.finish(event.finish_reason));
        if (includeUsage) yield frame(shape.usage(event.usage));
        // The router finishes its record of the request before the client is told that it is over.
        await events.next();
        yield frame("[DONE]");
        return;
      }
    }
  } catch (error) {
    yield frame(JSON.stringify(openaiErrorBody(toArkError(error))));
  } finally {
    await events.return?.();
  }
}

function frame(data: string): Uint8Array {
  return ENCODER.encode(`data: ${data}\n\n`);
}
