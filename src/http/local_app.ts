import { Hono } from "hono";
import type { Library } from "@ark/node/content";
import { ArkError, toArkError } from "@ark/node/protocol";
import type { Metrics } from "@ark/node/telemetry";
import { holdsToken } from "./admin/admin_guard.ts";
import { type AdminOptions, adminRoutes } from "./admin/admin_routes.ts";
import { arkErrorResponse } from "./ark_error.ts";
import { viewRoutes } from "./admin/view_routes.ts";
import type { ApiOptions } from "./api/api_routes.ts";
import { requestId } from "./api/serving.ts";
import { keyedAnswers } from "./keys/keyed_answers.ts";
import { senderOf } from "./keys/sender.ts";
import { HostNames, isLoopbackAddress } from "./middleware/host_names.ts";
import { isProxied, looksProxied } from "./middleware/proxied.ts";
import { dashboardRoutes } from "./dashboard/dashboard_routes.ts";
import { localGuard } from "./middleware/local_guard.ts";
import { anthropicRoutes } from "./anthropic/anthropic_routes.ts";
import { contentRoutes } from "./content/content_routes.ts";
import { PageKeys } from "./content/page_keys.ts";
import { familyRefusal, isMessagesPath } from "./family_refusal.ts";
import type { ModelKeeper } from "./ollama/model_keeper.ts";
import { refuseManaging } from "./ollama/managing_sender.ts";
import { ollamaRoutes } from "./ollama/ollama_routes.ts";
import { openaiRoutes } from "./openai/openai_routes.ts";
import { ResponseShelf } from "./responses/response_shelf.ts";
import { responsesRoutes } from "./responses/responses_routes.ts";

/** What {@linkcode localApp} needs. */
export interface LocalAppOptions {
  /** The owner's calls. */
  admin: AdminOptions;
  /** What the APIs for the owner's programs need, or null where the node has not the role. */
  api: ApiOptions | null;
  /** Keeps answers that later requests go on from; every listener of a node has the same. */
  shelf?: ResponseShelf;
  /** Keeps this node's models for Ollama's API; null where it has none of its own. */
  keeper?: ModelKeeper | null;
  /** Every content pack within reach, or null where there is none of it. */
  content?: Library | null;
  /** Shown at `/metrics`. */
  metrics: Metrics;
  /** Shown there as well, to whoever has the admin token: what is told of each peer. */
  peerMetrics?: Metrics;
  /** Names beside this machine's own under which a proxy or a name server may lead here. */
  allowHosts?: readonly string[];
  /** Origins of web pages that may use `/v1/*` and `/api/*`, exactly as browsers write them; a set may change. */
  allowOrigins?: Iterable<string> | ReadonlySet<string>;
  /** Told when a request that a reverse proxy passed on is let in without a key. */
  proxied?(): void;
  /** Told from which IP address a request came that had no valid key. */
  refused?(remote: string): void;
}

/** A fetch handler that is told from which IP address a request came. */
export type LocalApp = (request: Request, from?: { remote: string }) => Promise<Response>;

/**
 * Everything on the owner's listener, as a fetch handler: `/v1/*`, Ollama's `/api/*` and `/`, the admin calls, `/healthz` (that it lives) for
 * everybody, and `/metrics` (numbers without names of peers) for every program of this machine; with the admin token numbers of each peer, too. All of it also under
 * `/arknet/`, for a reverse proxy.
 */
export function localApp(options: LocalAppOptions): LocalApp {
  const { admin, api, metrics, allowHosts = [], allowOrigins = [] } = options;
  const { keys, keysRequired: required, token, sessions } = admin;
  const app = new Hono<{ Bindings: { remote?: string } }>({ getPath: pathOf });
  const pageKeys = new PageKeys();
  app.use(localGuard({
    hosts: new HostNames({ bound: admin.api.hostname, allowed: allowHosts }),
    origins: allowOrigins instanceof Set ? allowOrigins : new Set(allowOrigins),
    opened: (path) => pageKeys.open(path),
    refuse: familyRefusal,
  }));
  app.get("/healthz", ({ json }) => json({ status: "ok" }));
  app.get("/metrics", ({ body, env, req }) => {
    const remote = env.remote ?? "";
    if ((remote !== "" && !isLoopbackAddress(remote)) || isProxied(req.raw.headers)) {
      return arkErrorResponse(new ArkError("forbidden", "The metrics are for programs of this machine"));
    }
    const text = metrics.render() + (holdsToken(req.raw, admin) ? options.peerMetrics?.render() ?? "" : "");
    return body(text, 200, { "content-type": "text/plain; version=0.0.4" });
  });
  if (admin.sessions !== undefined) app.route("/", dashboardRoutes({ token, sessions: admin.sessions }));
  app.route("/", viewRoutes(admin));
  if (api !== null) {
    const who = (request: Request, remote: string) =>
      senderOf(request, { keys, required, token, remote, ...sessions === undefined ? {} : { sessions } });
    const admit: ApiOptions["admit"] = (request, { remote, answers }) => {
      try {
        const sender = who(request, remote);
        if (sender.held === null && looksProxied(request.headers)) options.proxied?.();
        return keyedAnswers(answers, sender);
      } catch (error) {
        if (toArkError(error).code === "unauthenticated") options.refused?.(remote);
        throw error;
      }
    };
    app.route("/", anthropicRoutes({ ...api, admit }));
    app.route("/", responsesRoutes({ ...api, admit }, { shelf: options.shelf ?? new ResponseShelf() }));
    app.route("/", openaiRoutes({ ...api, admit }));
    app.route(
      "/",
      ollamaRoutes({
        ...api,
        admit,
        keeper: options.keeper ?? null,
        mayManage: (request, { remote }) => refuseManaging(request, { remote, held: who(request, remote).held }),
      }),
    );
  }
  const { content: library = null } = options;
  if (library !== null) {
    app.route(
      "/",
      contentRoutes({
        library,
        keys: pageKeys,
        admit: (request, { remote }) => {
          senderOf(request, { keys, required, token, remote });
        },
      }),
    );
  }
  app.route("/", adminRoutes(admin));
  app.notFound(({ req }) => {
    if (api === null && isMessagesPath(req.path)) {
      return familyRefusal(
        new ArkError("model_not_found", "This node answers no API requests, since it has not the role gateway"),
        req.path,
      );
    }
    if (api === null && req.path.startsWith("/api/")) {
      return Response.json({ error: "This node answers no API requests, since it has not the role gateway" }, {
        status: 404,
      });
    }
    const reason = api === null && req.path.startsWith("/v1/")
      ? "This node answers no API requests, since it has not the role gateway"
      : "There is nothing here: your programs use /v1, and /healthz tells that the node lives";
    return Response.json(
      { error: { code: "not_found", type: "invalid_request_error", param: null, message: reason } },
      {
        status: 404,
      },
    );
  });
  app.onError((error, { req }) => familyRefusal(toArkError(error), req.path));
  const answer: LocalApp = async (request, from) => {
    try {
      return await app.fetch(request, from ?? {});
    } catch (error) {
      return familyRefusal(
        toArkError(error instanceof URIError ? new ArkError("bad_request", "The address is malformed") : error),
        pathOf(request),
      );
    }
  };
  return async (request, from) => identified(await answer(request, from));
}

/** An answer with an id, also where no API had its turn. */
function identified(response: Response): Response {
  if (!response.headers.has("x-request-id")) response.headers.set("x-request-id", requestId());
  return response;
}

/** The path without the prefix that a reverse proxy may put before it. */
function pathOf(request: Request): string {
  const { url } = request;
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  const path = start < 0 ? "/" : url.slice(start, end < 0 ? undefined : end);
  return path.startsWith("/arknet/") ? path.slice("/arknet".length) : path;
}
