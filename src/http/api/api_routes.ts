import { Hono } from "hono";
import type { ArkError } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { Answers } from "./answers.ts";
import { identifiedAnswers } from "./identified_answers.ts";
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
  /**
   * A failure as an answer; `ran` where an engine had begun, so that a client must not repeat the request by itself. `id` is
   * the request's.
   */
  failure(failure: ArkError, options: { ran: boolean; id: string }): Response;
  /** There is something at this path, but not for this method. `id` is the request's. */
  wrongMethod(method: string, allow: string, options: { id: string }): Response;
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

/** Options of {@linkcode ApiRoutes}. */
export interface ApiRoutesOptions {
  /** Whether a request is for these paths, where another family has the same ones. */
  meant?: (request: Request) => boolean;
}

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
  readonly #meant: (request: Request) => boolean;

  /** Begins without any path. A request that is not `meant` for these paths is left to whatever is mounted after them. */
  constructor(options: ApiOptions, errors: ErrorShape, { meant = () => true }: ApiRoutesOptions = {}) {
    this.#options = options;
    this.#errors = errors;
    this.#meant = meant;
  }

  /** Adds a path with one method; every other method is told so. */
  add(path: string, method: ApiMethod, reply: AdmittedReply): void {
    this.addAll(path, { [method]: reply });
  }

  /** Adds a path with some methods; every other method is told so. */
  addAll(path: string, replies: Partial<Record<ApiMethod, AdmittedReply>>): void {
    const methods = Object.keys(replies) as ApiMethod[];
    const allow = methods.map((method) => method === "get" ? "GET, HEAD" : method.toUpperCase()).join(", ");
    for (const method of methods) {
      const yes = this.#served(path, replies[method] as AdmittedReply);
      this.app[method](path, ({ req, env }, next) => this.#meant(req.raw) ? yes(req.raw, env?.remote) : next());
    }
    const no = this.#served(
      path,
      ({ method }, { exchange }) => this.#errors.wrongMethod(method, allow, { id: exchange.id }),
    );
    this.app.all(path, ({ req, env }, next) => this.#meant(req.raw) ? no(req.raw, env?.remote) : next());
  }

  /** Answers whatever is left of a path. */
  rest(path: string, reply: AdmittedReply): void {
    const answer = this.#served(path, reply);
    this.app.all(path, ({ req, env }, next) => this.#meant(req.raw) ? answer(req.raw, env?.remote) : next());
  }

  #served(path: string, reply: AdmittedReply): (request: Request, remote?: string) => Promise<Response> {
    const { answers: all, admit } = this.#options;
    const admitted: Reply = (request, exchange) => {
      const answers = admit?.(request, { remote: exchange.remote, answers: all }) ?? all;
      return reply(request, { exchange, answers: identifiedAnswers(answers, exchange.id) });
    };
    return serving(path, { ...this.#options, reply: admitted, failure: this.#errors.failure });
  }
}
