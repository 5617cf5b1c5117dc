import type { Hono } from "hono";
import { type ApiOptions, ApiRoutes, type Sent } from "../api/api_routes.ts";
import { errorAnswer, wrongMethod } from "../openai/error_answer.ts";
import { answerResponse, countResponse } from "./answer_response.ts";
import { cancelResponse, deleteResponse, showItems, showResponse } from "./kept_routes.ts";
import { ResponseShelf } from "./response_shelf.ts";

/** Options of {@linkcode responsesRoutes}. */
export interface ResponsesOptions {
  /** Keeps answers that later requests go on from. */
  shelf?: ResponseShelf;
}

/**
 * OpenAI's Responses API, to be mounted at the root:
 *
 * | call | answer |
 * |---|---|
 * | `POST /v1/responses` | a response, in one piece or as events |
 * | `POST /v1/responses/input_tokens` | how long its prompt would be |
 * | `GET /v1/responses/{id}` | one that is kept |
 * | `DELETE /v1/responses/{id}` | forgets it |
 * | `GET /v1/responses/{id}/input_items` | what its request said |
 * | `POST /v1/responses/{id}/cancel` | an error: nothing runs in the background |
 *
 * Responses are kept unless `store` is false, in memory alone (see {@linkcode ResponseShelf}), those of each API key for
 * that key. One that goes on from a response that had to stay on this machine stays there, too. Failed ones are not kept.
 *
 * Thoughts are an item `reasoning` with `reasoning_text`, or with `summary_text` where `reasoning.summary` asks for one, and
 * are read again where a client sends them back. An item of a kept response can be named by `item_reference`. `truncation:
 * "auto"` is taken, and what does not fit is an error all the same. Tools are functions of the client's program; what would
 * need another kind of tool, a conversation or the background is refused.
 *
 * A stream that breaks off ends with `response.failed`, which has what there is of the answer; there is no `[DONE]`.
 */
export function responsesRoutes(
  options: ApiOptions,
  { shelf = new ResponseShelf() }: ResponsesOptions = {},
): Hono<{ Bindings: Sent }> {
  const routes = new ApiRoutes(options, { failure: errorAnswer, wrongMethod });
  routes.add("/v1/responses", "post", (request, sent) => answerResponse(request, { ...sent, shelf }));
  routes.add("/v1/responses/input_tokens", "post", (request, sent) => countResponse(request, { ...sent, shelf }));
  routes.addAll("/v1/responses/:id", { get: showResponse(shelf), delete: deleteResponse(shelf) });
  routes.add("/v1/responses/:id/input_items", "get", showItems(shelf));
  routes.add("/v1/responses/:id/cancel", "post", cancelResponse(shelf));
  return routes.app;
}
