import type { Hono } from "hono";
import { type AdmittedReply, type ApiOptions, ApiRoutes, type ErrorShape, type Sent } from "../api/api_routes.ts";
import { given, modelOf, requestFields } from "../api/request_fields.ts";
import { answerQuestion } from "./answer_question.ts";
import { embed, embedding } from "./embedding.ts";
import { copyModel, createModel, deleteModel, noBlobs, noPush, pullModel } from "./management.ts";
import type { ManagementOptions } from "./management.ts";
import type { ModelKeeper } from "./model_keeper.ts";
import { psBody, showBody, tagsBody } from "./model_views.ts";
import { jsonAnswer } from "./ndjson.ts";
import { ollamaErrorAnswer, ollamaUnknownPath, ollamaWrongMethod } from "./ollama_error.ts";
import { chatQuestion, generateQuestion } from "./question.ts";
import { namedModel } from "./residency.ts";
import { sentJson } from "./sent_json.ts";

/** How Ollama's errors read. */
const OLLAMA_ERRORS: ErrorShape = { failure: ollamaErrorAnswer, wrongMethod: ollamaWrongMethod };

/**
 * The Ollama whose API this is: clients ask for a least one before they begin (VS Code 0.6.4, Codex 0.13.4). A bare
 * version on purpose: what is added to it, some of them cannot read (Open WebUI makes a number of each part).
 */
export const OLLAMA_VERSION = "0.14.2";

/** What {@linkcode ollamaRoutes} needs beside what every API does. */
export interface OllamaOptions extends ApiOptions {
  /** Keeps this node's models; null where it has none of its own. */
  keeper?: ModelKeeper | null;
  /**
   * Throws an `ArkError` where the sender of a request may not change what models there are (pull, delete, copy, create);
   * without it, everybody may.
   */
  mayManage?(request: Request, sender: { remote: string }): void;
}

/**
 * Ollama's API, to be mounted at the root:
 *
 * | call | answer |
 * |---|---|
 * | `POST /api/chat`, `/api/generate` | an answer, in lines unless `stream` is false; without messages or prompt, the model is loaded or unloaded |
 * | `POST /api/embed`, `/api/embeddings` | vectors of texts, or of one |
 * | `GET /api/tags` | models within reach, each once, those of peers included |
 * | `GET /api/ps` | this node's models that are in memory |
 * | `POST /api/show` | what is known of a model |
 * | `GET /api/version` | the version of Ollama whose API this is |
 * | `POST /api/pull`, `/api/copy`, `/api/create`, `DELETE /api/delete` | this node's own models, where it can |
 * | `GET`, `HEAD /` | "Ollama is running", by which clients find it |
 *
 * Every failure is `{"error":"text"}`; in a stream it is a line, after which the stream ends without a line that is done.
 */
export function ollamaRoutes(options: OllamaOptions): Hono<{ Bindings: Sent }> {
  const { keeper = null, mayManage } = options;
  const routes = new ApiRoutes(options, OLLAMA_ERRORS);
  const managed = (
    reply: (request: Request, options: ManagementOptions) => Response | Promise<Response>,
  ): AdmittedReply =>
  (request, { exchange }) => {
    mayManage?.(request, { remote: exchange.remote });
    return reply(request, { keeper, exchange });
  };
  routes.app.get("/", ({ text }) => text("Ollama is running"));
  routes.add("/api/chat", "post", (request, sent) => answerQuestion(request, { read: chatQuestion, keeper, ...sent }));
  routes.add(
    "/api/generate",
    "post",
    (request, sent) => answerQuestion(request, { read: generateQuestion, keeper, ...sent }),
  );
  routes.add("/api/embed", "post", (request, sent) => embed(request, { keeper, ...sent }));
  routes.add("/api/embeddings", "post", (request, sent) => embedding(request, { keeper, ...sent }));
  routes.add("/api/tags", "get", (_, { answers }) => jsonAnswer(tagsBody(answers.models())));
  routes.add("/api/ps", "get", (_, { answers }) => jsonAnswer(psBody(answers.models(), keeper?.running() ?? [])));
  routes.add("/api/show", "post", async (request, { answers }) => {
    const fields = requestFields(await sentJson(request));
    const name = given(fields, "model") === undefined ? { model: given(fields, "name") } : fields;
    const { model, here } = namedModel(modelOf(name), { models: answers.models(), keeper });
    return jsonAnswer(showBody(model, here && keeper !== null ? await keeper.describe(model.id) : null));
  });
  routes.add("/api/version", "get", () => jsonAnswer({ version: OLLAMA_VERSION }));
  routes.add("/api/pull", "post", managed(pullModel));
  routes.add("/api/delete", "delete", managed(deleteModel));
  routes.add("/api/copy", "post", managed(copyModel));
  routes.add("/api/create", "post", managed(createModel));
  routes.add("/api/push", "post", managed(noPush));
  routes.rest("/api/blobs/*", managed(noBlobs));
  routes.rest("/api/*", ({ method, url }) => ollamaUnknownPath(method, new URL(url).pathname));
  return routes.app;
}
