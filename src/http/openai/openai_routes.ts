import { Hono } from "hono";
import type { InferOptions } from "@ark/node/inference";
import type { InferenceEvent, InferenceRequest } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import { CHAT_SHAPE, COMPLETION_SHAPE } from "./answer_shape.ts";
import { answerQuestion } from "./answer_question.ts";
import { unknownPath, wrongMethod } from "./error_answer.ts";
import { modelList, oneModel } from "./model_list.ts";
import { chatQuestion, completionQuestion } from "./question.ts";
import { type Exchange, type Reply, serving } from "./serving.ts";

/** What answers questions; the router is one. */
export interface Answers {
  /**
   * Answers a request; `chosen` is told who does, before the first event. With `localOnly` it stays on this machine, and
   * only a model that `permits` lets pass answers it.
   */
  infer(
    request: InferenceRequest,
    options: InferOptions & {
      chosen?(route: { name: string; peer: string | null; attempt: number }): void;
      localOnly?: boolean;
      permits?(model: string): boolean;
    },
  ): AsyncIterable<InferenceEvent>;
  /** Models within reach, this node's first. The same id may occur more than once. */
  models(): readonly { id: string; owner: string; local: boolean }[];
}

/** What the OpenAI API needs. */
export interface OpenAiOptions {
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

/** What is known of a request beside what it says. */
interface Sent {
  /** IP address of the connection's other end. */
  remote?: string;
}

/** Answers a request of somebody who was admitted. */
type AdmittedReply = (
  request: Request,
  sent: { exchange: Exchange; answers: Answers },
) => Response | Promise<Response>;

/**
 * OpenAI's API, to be mounted at the root:
 *
 * | call | answer |
 * |---|---|
 * | `POST /v1/chat/completions` | a chat, in one piece or as events |
 * | `POST /v1/completions` | a raw prompt, in one piece or as events |
 * | `GET /v1/models` | models within reach, each once |
 * | `GET /v1/models/{id}` | one of them; the id may have `/` and `:`, percent-encoded or not |
 *
 * Only fields that are known travel further. What would change the answer and cannot be done is refused; everything else
 * is left aside. Every answer has `x-request-id`, and `x-ark-node` (percent-encoded label) and `x-ark-route` (`local` or
 * `peer`) where it is known who answers. Every failure has OpenAI's shape, and says `x-should-retry: false` when an engine
 * had already begun.
 *
 * A stream whose first event takes longer than 10 s begins with a comment; from then on a failure is an event
 * `{"error":…}`. A stream that failed has no `[DONE]`.
 */
export function openaiRoutes(options: OpenAiOptions): Hono<{ Bindings: Sent }> {
  const app = new Hono<{ Bindings: Sent }>();
  const chat = { read: chatQuestion, shape: CHAT_SHAPE };
  const completion = { read: completionQuestion, shape: COMPLETION_SHAPE };
  const served = (path: string, reply: AdmittedReply) => {
    const { answers: all, admit } = options;
    const admitted: Reply = (request, exchange) => {
      const answers = admit?.(request, { remote: exchange.remote, answers: all }) ?? all;
      return reply(request, { exchange, answers });
    };
    return serving(path, { ...options, reply: admitted });
  };
  const route = (path: string, method: "get" | "post", reply: AdmittedReply) => {
    const allow = method === "get" ? "GET, HEAD" : "POST";
    const [yes, no] = [served(path, reply), served(path, ({ method }) => wrongMethod(method, allow))];
    app[method](path, ({ req, env }) => yes(req.raw, env?.remote));
    app.all(path, ({ req, env }) => no(req.raw, env?.remote));
  };
  route("/v1/chat/completions", "post", (request, sent) => answerQuestion(request, { ...chat, ...sent }));
  route("/v1/completions", "post", (request, sent) => answerQuestion(request, { ...completion, ...sent }));
  route("/v1/models", "get", (_, { answers }) => Response.json(modelList(answers.models())));
  route("/v1/models/*", "get", ({ url }, { answers }) => Response.json(oneModel(answers.models(), url)));
  const nothing = served("/v1/*", ({ method, url }) => unknownPath(method, new URL(url).pathname));
  app.all("/v1/*", ({ req, env }) => nothing(req.raw, env?.remote));
  return app;
}
