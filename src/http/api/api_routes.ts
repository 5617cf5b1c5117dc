import { Hono } from "hono";
import type { ArkError } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { Answers } from "./answers.ts";
import { type Exchange, type Reply, serving } from "./serving.ts";

/** What every API for the owner's programs needs. */
export interface ApiOptions {
  /** Answers questions. */
  answers: Answers;
  /**
   * What of the answers the sender of a request may have; throws an `ArkError` where that is nothing. Without it, everybody
   * may have all.
   */
  admit?: (request: Request, sender: { remote: string; answers: Answers }) => Answers;
  /** Counts answers by HTTP status. */
  requests?: { add(n?: number, labels?: { status: string }): void };
  /** Says under which `x-request-id` a request was answered, and what failed by a fault of this node. */
  logger?: Pick<Logger, "debug" | "error">;
}

/** How the errors of one family of APIs read. */
export interface ErrorShape {
  /** A failure as an answer; `ran` where an engine had begun, so that a client must not repeat the request by itself. */
  failure(failure: ArkError, options: { ran: boolean }): Response;
  /** There is something at this path, but not for this method. */
  wrongMethod(method: string, allow: string): Response;
}

/** What is known of a request beside what it says. */
export interface Sent {
  /** IP address of the connection's other end. */
  remote?: string;
}

/** Answers a request of somebody who was admitted. */
export type AdmittedReply = (
  request: Request,
  sent: { exchange: Exchange; answers: Answers },
) => Response | Promise<Response>;

/** The methods that a path of an API can have. */
export type ApiMethod = "get" | "post" | "delete";

/**
 * Paths of one family of APIs. Every answer has `x-request-id`, and `x-ark-node` (percent-encoded label), `x-ark-route`
 * (`local` or `peer`) and `x-ark-reason` (a short sentence) where it is known who answers; every failure has the family's
 * shape.
 */
export class ApiRoutes {
  /** All of them, to be mounted at the root. */
  readonly app: Hono<{ Bindings: Sent }> = new Hono<{ Bindings: Sent }>();
  readonly #options: ApiOptions;
  readonly #errors: ErrorShape;

  /** Begins without any path. */
  constructor(options: ApiOptions, errors: ErrorShape) {
    this.#options = options;
    this.#errors = errors;
  }

  /** Adds a path with one method; every other method is told so. */
  add(path: string, method: ApiMethod, reply: AdmittedReply): void {
    const allow = method === "get" ? "GET, HEAD" : method.toUpperCase();
    const yes = this.#served(path, reply);
    const no = this.#served(path, ({ method }) => this.#errors.wrongMethod(method, allow));
    this.app[method](path, ({ req, env }) => yes(req.raw, env?.remote));
    this.app.all(path, ({ req, env }) => no(req.raw, env?.remote));
  }

  /** Answers whatever is left of a path. */
  rest(path: string, reply: AdmittedReply): void {
    const answer = this.#served(path, reply);
    this.app.all(path, ({ req, env }) => answer(req.raw, env?.remote));
  }

  #served(path: string, reply: AdmittedReply): (request: Request, remote?: string) => Promise<Response> {
    const { answers: all, admit } = this.#options;
    const admitted: Reply = (request, exchange) => {
      const answers = admit?.(request, { remote: exchange.remote, answers: all }) ?? all;
      return reply(request, { exchange, answers });
    };
    return serving(path, { ...this.#options, reply: admitted, failure: this.#errors.failure });
  }
}
