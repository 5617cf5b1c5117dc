import type { Hono } from "hono";
import { type ApiOptions, ApiRoutes, type ErrorShape, type Sent } from "../api/api_routes.ts";
import { CHAT_SHAPE, COMPLETION_SHAPE } from "./answer_shape.ts";
import { answerQuestion } from "./answer_question.ts";
import { errorAnswer, unknownPath, wrongMethod } from "./error_answer.ts";
import { modelList, oneModel } from "./model_list.ts";
import { chatQuestion, completionQuestion } from "./question.ts";

/** How OpenAI's errors read. */
const OPENAI_ERRORS: ErrorShape = { failure: errorAnswer, wrongMethod };

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
export function openaiRoutes(options: ApiOptions): Hono<{ Bindings: Sent }> {
  const routes = new ApiRoutes(options, OPENAI_ERRORS);
  const chat = { read: chatQuestion, shape: CHAT_SHAPE };
  const completion = { read: completionQuestion, shape: COMPLETION_SHAPE };
  routes.add("/v1/chat/completions", "post", (request, sent) => answerQuestion(request, { ...chat, ...sent }));
  routes.add("/v1/completions", "post", (request, sent) => answerQuestion(request, { ...completion, ...sent }));
  routes.add("/v1/models", "get", (_, { answers }) => Response.json(modelList(answers.models())));
  routes.add("/v1/models/*", "get", ({ url }, { answers }) => Response.json(oneModel(answers.models(), url)));
  routes.rest("/v1/*", ({ method, url }) => unknownPath(method, new URL(url).pathname));
  return routes.app;
}
