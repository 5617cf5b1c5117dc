import { type ArkError, toArkError } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { AnsweringNode } from "./answers.ts";

/** What is known of an answer while it is made. */
export interface RunningAnswer {
  /** Who answers, once that is known. */
  readonly node: AnsweringNode | null;
  /** Whether an engine has begun: a request that has run is not to be repeated by itself. */
  readonly ran: boolean;
  /** Ends the work, and waits until it has. */
  stop(): Promise<void>;
}

/** One request and what is known of it while it is answered. */
export interface Exchange {
  /** Ours, `req_…`; the client gets it as `x-request-id`, and the log has it. */
  readonly id: string;
  /** IP address of the connection's other end; empty where it is not known. */
  readonly remote: string;
  /** The answer that is made for it, once there is one. */
  run: RunningAnswer | null;
  /** Takes note of a failure that came too late for a status. */
  failed(failure: ArkError): void;
}

/** Answers a request; what it throws becomes an error in the API's shape. */
export type Reply = (request: Request, exchange: Exchange) => Response | Promise<Response>;

/** Options of {@linkcode serving}. */
export interface ServingOptions {
  /** Makes the answer. */
  reply: Reply;
  /** Makes an answer of a failure. */
  failure(failure: ArkError, options: { ran: boolean; id: string }): Response;
  /** Counts answers by HTTP status. */
  requests?: { add(n?: number, labels?: { status: string }): void };
  /** Takes note of answers. */
  logger?: Pick<Logger, "debug" | "error">;
}

/** Puts around a reply what every answer has. `path` is the route's: what a client wrote into a URL is not logged. */
export function serving(
  path: string,
  { reply, failure: failureOf, requests, logger }: ServingOptions,
): (request: Request, remote?: string) => Promise<Response> {
  return async (request, remote = "") => {
    const began = performance.now();
    const id = requestId();
    const failed = (failure: ArkError) => {
      logger?.debug("An API request failed", { request: id, path, code: failure.code });
      if (failure.code === "internal") {
        logger?.error("An API request met a fault of this node", {
          request: id,
          path,
          reason: originOf(failure.cause),
        });
      }
    };
    const exchange: Exchange = { id, remote, run: null, failed };
    let response: Response;
    try {
      response = await reply(request, exchange);
    } catch (error) {
      const failure = toArkError(error);
      failed(failure);
      await exchange.run?.stop();
      response = failureOf(failure, { ran: exchange.run?.ran ?? false, id });
    }
    const { headers, status } = response;
    headers.set("x-request-id", id);
    const node = exchange.run?.node ?? null;
    if (node !== null) {
      headers.set("x-ark-node", headerText(node.name));
      headers.set("x-ark-route", node.peer !== null ? "peer" : node.upstream ? "upstream" : "local");
      if (node.reason !== undefined) headers.set("x-ark-reason", node.reason.replaceAll(/[^\x20-\x7e]/g, "?"));
    }
    requests?.add(1, { status: String(status) });
    const ms = Math.round(performance.now() - began);
    logger?.debug("Answered an API request", { request: id, method: request.method, path, status, ms });
    return response;
  };
}

/** A new `x-request-id`. */
export function requestId(): string {
  return `req_${crypto.randomUUID().replaceAll("-", "")}`;
}

/** A label as it may stand in a header; `decodeURIComponent` gives it back. */
function headerText(label: string): string {
  return encodeURIComponent(label.toWellFormed());
}

/** Where an unexpected error came from. Its message is left out: it may quote what it could not read. */
function originOf(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause;
  const frame = cause.stack?.split("\n").find((line) => /^\s+at /.test(line))?.trim() ?? "";
  return `${cause.name} ${frame}`.trim();
}
