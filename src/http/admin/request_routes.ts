import { ArkError } from "@ark/node/protocol";
import type { LedgerEntry, RequestLedger } from "@ark/node/routing";
import type { Events } from "@ark/node/telemetry";
import { eventStream } from "./event_stream.ts";

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
  return eventStream({
    ...options,
    state: shown,
    each(event) {
      const request = event.type === "journey" ? options.ledger.get(event.seq) : undefined;
      return request === undefined ? undefined : { request };
    },
  });
}
