import { Hono } from "hono";
import { type ApiOptions, ApiRoutes, type ErrorShape, type Sent } from "../api/api_routes.ts";
import { answerMessage, countMessage } from "./answer_message.ts";
import { errorAnswer, unknownPath, wrongMethod } from "./error_answer.ts";
import { modelList, oneModel } from "./model_list.ts";

/** How Anthropic's errors read. */
const ANTHROPIC_ERRORS: ErrorShape = { failure: errorAnswer, wrongMethod };

/**
 * Anthropic's API, to be mounted at the root, before OpenAI's:
 *
 * | call | answer |
 * |---|---|
 * | `POST /v1/messages` | a message, in one piece or as events |
 * | `POST /v1/messages/count_tokens` | how long its prompt would be: `input_tokens` |
 * | `GET /v1/models[/{id}]` with the header `anthropic-version` | models within reach; without it, OpenAI's list |
 *
 * Every failure has Anthropic's shape, and every answer `request-id` beside `x-request-id`. The key is sent as `x-api-key`
 * or as a bearer; `anthropic-version` and `anthropic-beta` may say anything.
 *
 * A model thinks where `thinking` is `enabled` and does not where it is `disabled`; otherwise it does as it does by itself,
 * as in the other APIs. Thoughts are not signed. `cache_control`, `context_management`, `metadata`, `service_tier` and
 * the effort are left aside; images, documents, servers and tools of Anthropic's own are refused.
 *
 * A stream that breaks off ends with `event: error`, and never with `message_stop`.
 */
export function anthropicRoutes(options: ApiOptions): Hono<{ Bindings: Sent }> {
  const app = new Hono<{ Bindings: Sent }>();
  const messages = new ApiRoutes(options, ANTHROPIC_ERRORS);
  messages.add("/v1/messages", "post", answerMessage);
  messages.add("/v1/messages/count_tokens", "post", countMessage);
  messages.rest("/v1/messages/*", ({ method, url }, { exchange: { id } }) => {
    return unknownPath(method, { path: new URL(url).pathname, id });
  });
  app.route("/", messages.app);
  const meant = ({ headers }: Request) => headers.has("anthropic-version");
  const models = new ApiRoutes(options, ANTHROPIC_ERRORS, { meant });
  models.add("/v1/models", "get", ({ url }, { answers, exchange }) => {
    return Response.json(modelList(answers.models(), url), { headers: { "request-id": exchange.id } });
  });
  models.add("/v1/models/*", "get", ({ url }, { answers, exchange }) => {
    return Response.json(oneModel(answers.models(), url), { headers: { "request-id": exchange.id } });
  });
  app.route("/", models.app);
  return app;
}
