import type { Hono } from "hono";
import { type ApiOptions, ApiRoutes, type ErrorShape, type Sent } from "../api/api_routes.ts";
import { answerQuestion } from "./answer_question.ts";
import { completionQuestion } from "./completion_question.ts";
import { answerEmbeddings } from "./embeddings.ts";
import { errorAnswer, unknownPath, wrongMethod } from "./error_answer.ts";
import { modelList, oneModel } from "./model_list.ts";
import { chatQuestion } from "./question.ts";
import { answerRerank } from "./rerank.ts";

/** How OpenAI's errors read. */
const OPENAI_ERRORS: ErrorShape = { failure: errorAnswer, wrongMethod };

/**
 * OpenAI's API, to be mounted at the root:
 *
 * | call | answer |
 * |---|---|
 * | `POST /v1/chat/completions` | a chat, in one piece or as events |
 * | `POST /v1/completions` | raw prompts, in one piece or as events |
 * | `POST /v1/embeddings` | a vector for each text |
 * | `POST /v1/rerank` | documents in order, in Jina's shape or that of text-embeddings-inference |
 * | `GET /v1/models` | models within reach, each once |
 * | `GET /v1/models/{id}` | one of them; the id may have `/` and `:`, percent-encoded or not |
 *
 * Only fields that are known travel further. What would change the answer and cannot be done is refused; everything else
 * is left aside. Several answers (`n`, several prompts) are as many requests to the mesh. Every answer has `x-request-id`,
 * and `x-ark-node` (percent-encoded label), `x-ark-route` (`local` or `peer`) and `x-ark-reason` where it is known who
 * answers. Every failure has OpenAI's shape, and says `x-should-retry: false` when an engine had already begun.
 *
 * A stream whose first event takes longer than 10 s begins with a comment; from then on a failure is an event
 * `{"error":…}`. A stream that failed has no `[DONE]`.
 */
export function openaiRoutes(options: ApiOptions): Hono<{ Bindings: Sent }> {
  const routes = new ApiRoutes(options, OPENAI_ERRORS);
  routes.add(
    "/v1/chat/completions",
    "post",
    (request, sent) => answerQuestion(request, { read: chatQuestion, ...sent }),
  );
  routes.add(
    "/v1/completions",
    "post",
    (request, sent) => answerQuestion(request, { read: completionQuestion, ...sent }),
  );
  routes.add("/v1/embeddings", "post", answerEmbeddings);
  routes.add("/v1/rerank", "post", answerRerank);
  routes.add("/v1/models", "get", (_, { answers }) => Response.json(modelList(answers.models())));
  routes.add("/v1/models/*", "get", ({ url }, { answers }) => Response.json(oneModel(answers.models(), url)));
  routes.rest("/v1/*", ({ method, url }) => unknownPath(method, new URL(url).pathname));
  return routes.app;
}
