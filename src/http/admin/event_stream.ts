import type { ArkEvent, Events } from "@ark/node/telemetry";

/** What {@linkcode eventStream} goes by. */
export interface EventStreamOptions {
  /** What happens, as it happens. */
  events: Pick<Events, "subscribe">;
  /** Aborted when the node begins to stop: the stream ends. */
  closing: AbortSignal;
  /** The whole state: told first, and again to a reader that has missed something. */
  state(): unknown;
  /** What is told of an event, or undefined where it is of no interest. */
  each(event: ArkEvent): unknown;
}

const ALIVE_MS = 15_000;
/** A reader that is so many events behind is told the state anew when it has caught up. */
const MOST_BEHIND = 256;

/**
 * Server-sent events with JSON: the state, then what changes, until the reader goes or the node stops. However slow the
 * reader is, it takes no more memory than some hundred events.
 */
export function eventStream({ events, closing, state, each }: EventStreamOptions): Response {
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, closing]);
  let timer: ReturnType<typeof setInterval> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const encoder = new TextEncoder();
      let behind = false;
      const tell = (value: unknown) => {
        behind ||= (controller.desiredSize ?? 0) <= -MOST_BEHIND;
        if (!behind) controller.enqueue(encoder.encode(`data: ${JSON.stringify(value)}\n\n`));
      };
      const changes = events.subscribe(signal);
      tell(state());
      timer = setInterval(() => {
        if ((controller.desiredSize ?? 0) > -MOST_BEHIND) controller.enqueue(encoder.encode(": alive\n\n"));
      }, ALIVE_MS);
      void (async () => {
        for await (const event of changes) {
          if (event.type === "lost" || (behind && (controller.desiredSize ?? 0) > 0)) {
            behind = false;
            tell(state());
          } else {
            const value = each(event);
            if (value !== undefined) tell(value);
          }
        }
        clearInterval(timer);
        if (!gone.signal.aborted) controller.close();
      })();
    },
    cancel() {
      clearInterval(timer);
      gone.abort();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}
