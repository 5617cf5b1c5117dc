import { ArkError } from "@ark/node/protocol";
import type { LedgerEntry, RequestLedger } from "@ark/node/routing";
import type { Events } from "@ark/node/telemetry";
import { EVENT_HEADERS, utf8 } from "../api/server_events.ts";

/** What the owner's view of requests needs. */
export interface RequestRoutesOptions {
  /** The last requests. */
  ledger: Pick<RequestLedger, "list" | "get">;
  /** Tells which of them changed. */
  events: Pick<Events, "subscribe">;
  /** Aborted when the node begins to stop. */
  closing: AbortSignal;
}

/** One event of `GET /api/v1/requests?follow=1`: first the last requests, then each that is new or has changed. */
export type RequestsEvent = { readonly requests: readonly LedgerEntry[] } | { readonly request: LedgerEntry };

const ALIVE_MS = 15_000;
/** A reader that is so many events behind is told the state anew when it has caught up. */
const MOST_BEHIND = 256;

/**
 * Answers `GET /api/v1/requests`: `{"requests":[…]}`, the last `count` of them, oldest first; with `follow=1` a stream of
 * {@linkcode RequestsEvent}.
 *
 * @throws {ArkError} `bad_request`
 */
export function requestsAnswer(request: Request, options: RequestRoutesOptions): Response {
  const { searchParams } = new URL(request.url);
  const count = searchParams.get("count") ?? "50";
  if (!/^[1-9]\d{0,5}$/.test(count)) {
    throw new ArkError("bad_request", "Field count says how many requests are shown: a whole number from 1");
  }
  const shown = () => ({ requests: options.ledger.list(Number(count)) });
  if (searchParams.get("follow") !== "1") return Response.json(shown());
  return new Response(eventStream(shown, options), { headers: EVENT_HEADERS });
}

function eventStream(
  shown: () => RequestsEvent,
  { ledger, events, closing }: RequestRoutesOptions,
): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, closing]);
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      let behind = false;
      const say = (event: RequestsEvent) => {
        behind ||= (controller.desiredSize ?? 0) <= -MOST_BEHIND;
        if (!behind) controller.enqueue(utf8(`data: ${JSON.stringify(event)}\n\n`));
      };
      const changes = events.subscribe(signal);
      say(shown());
      timer = setInterval(() => {
        if ((controller.desiredSize ?? 0) > -MOST_BEHIND) controller.enqueue(utf8(": alive\n\n"));
      }, ALIVE_MS);
      void (async () => {
        for await (const event of changes) {
          if (behind && (controller.desiredSize ?? 0) > 0) {
            behind = false;
            say(shown());
          } else if (event.type === "lost") say(shown());
          else if (event.type === "journey") {
            const request = ledger.get(event.seq);
            if (request !== undefined) say({ request });
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
}
