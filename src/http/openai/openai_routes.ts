import { type Context, Hono } from "hono";
import type { InferOptions } from "@ark/node/inference";
import { ArkError, type InferenceEvent, type InferenceRequest, toArkError } from "@ark/node/protocol";
import { readJson } from "../request_json.ts";
import { AnswerShape, type OpenAiKind } from "./answer_shape.ts";
import { answerStream } from "./answer_stream.ts";
import { FieldError, openaiError } from "./openai_error.ts";
import { type OpenAiRequest, readChat, readCompletion } from "./openai_request.ts";

/** Who answers a request. */
export interface AnsweringNode {
  /** Label of the node. */
  readonly name: string;
  /** The peer's id, or null for this node itself. */
  readonly peer: string | null;
  /** How many were tried before in vain. */
  readonly attempt: number;
}

/** What answers questions; the router is one. */
export interface Answers {
  /** Answers a request; `chosen` is told who does. */
  infer(
    request: InferenceRequest,
    options: InferOptions & { chosen?(route: AnsweringNode): void },
  ): AsyncIterable<InferenceEvent>;
  /** Models within reach. */
  models(): readonly { id: string; owner: string; local: boolean }[];
}

/** What {@linkcode openaiRoutes} needs. */
export interface OpenAiOptions {
  /** Answers questions. */
  answers: Answers;
}

const BODY_BYTES = 16 << 20;
const CREATED = Math.floor(Date.now() / 1_000);

/**
 * OpenAI's API: `POST /v1/chat/completions`, `POST /v1/completions`, `GET /v1/models` and `GET /v1/models/{id}`.
 *
 * Every answer has `x-request-id`, and `x-ark-node` (percent-encoded label) and `x-ark-route` (`local` or `peer`) where a
 * node was chosen. Every failure has OpenAI's shape; one of a request that has run says `x-should-retry: false`.
 */
export function openaiRoutes({ answers }: OpenAiOptions): Hono {
  const app = new Hono();
  app.post("/v1/chat/completions", (context) => answer(context, { kind: "chat", answers, read: readChat }));
  app.post("/v1/completions", (context) => answer(context, { kind: "completion", answers, read: readCompletion }));
  app.get("/v1/models", () => Response.json({ object: "list", data: modelList(answers) }));
  app.get("/v1/models/*", ({ req }) => {
    const id = decoded(req.path.slice("/v1/models/".length));
    const found = modelList(answers).find((model) => model.id === id);
    if (found !== undefined) return Response.json(found);
    return openaiError(new ArkError("model_not_found", `The model '${id}' is not within reach: GET /v1/models lists those that are`));
  });
  for (const path of ["/v1/chat/completions", "/v1/completions"]) app.all(path, () => wrongMethod("POST"));
  for (const path of ["/v1/models", "/v1/models/*"]) app.all(path, () => wrongMethod("GET, HEAD"));
  app.all("/v1/*", ({ req }) => {
    const message = `There is no ${req.path} here: /v1/chat/completions, /v1/completions and /v1/models are`;
    return Response.json({ error: { message, type: "invalid_request_error", param: null, code: "not_found" } }, { status: 404 });
  });
  app.onError((error) => openaiError(error instanceof FieldError ? error : toArkError(error)));
  return app;
}

interface Question {
  kind: OpenAiKind;
  answers: Answers;
  read(body: unknown): OpenAiRequest;
}

async function answer({ req }: Context, { kind, answers, read }: Question): Promise<Response> {
  const headers: Record<string, string> = { "x-request-id": `req_${crypto.randomUUID().replaceAll("-", "")}` };
  const hangUp = new AbortController();
  let events: AsyncIterator<InferenceEvent> | null = null;
  let ran = false;
  try {
    const { request, stream, includeUsage } = read(await readJson(req.raw, BODY_BYTES));
    const chosen = ({ name, peer }: AnsweringNode) => {
      headers["x-ark-node"] = encodeURIComponent(name);
      headers["x-ark-route"] = peer === null ? "local" : "peer";
    };
    const signal = AbortSignal.any([req.raw.signal, hangUp.signal]);
    const answering = answers.infer(request, { priority: "owner", principal: "owner", signal, chosen });
    events = answering[Symbol.asyncIterator]();
    // A failure before the first event still has a status of its own.
    const first = await events.next();
    if (first.done || first.value.type !== "start") throw new ArkError("internal", "The answer has no beginning");
    ran = true;
    const shape = new AnswerShape(kind, first.value.model);
    if (!stream) return Response.json(await collected(events, shape), { headers });
    const body = answerStream({ events, shape, includeUsage, hangUp: () => hangUp.abort() });
    return new Response(body, { headers: { ...headers, "content-type": "text/event-stream", "cache-control": "no-store" } });
  } catch (error) {
    const response = openaiError(error instanceof FieldError ? error : toArkError(error), { ran });
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
    return response;
  }
}

async function collected(events: AsyncIterator<InferenceEvent>, shape: AnswerShape): Promise<Record<string, unknown>> {
  const texts: string[] = [];
  for (;;) {
    const { done, value: event } = await events.next();
    if (done) throw new ArkError("unavailable", "The answer broke off");
    if (event.type === "text") texts.push(event.text);
    if (event.type === "end") {
      // The router finishes its record of the request.
      await events.next();
      return shape.whole({ text: texts.join(""), reason: event.finish_reason, usage: event.usage });
    }
  }
}

function modelList(answers: Answers) {
  const distinct = new Map<string, string>();
  for (const { id, owner } of answers.models()) if (!distinct.has(id)) distinct.set(id, owner);
  return [...distinct].map(([id, owned_by]) => ({ id, object: "model", created: CREATED, owned_by }));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function wrongMethod(allow: string): Response {
  const message = `This address takes ${allow} only`;
  const body = { error: { message, type: "invalid_request_error", param: null, code: "method_not_allowed" } };
  return Response.json(body, { status: 405, headers: { allow } });
}
