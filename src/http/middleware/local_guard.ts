import type { Context, MiddlewareHandler } from "hono";
import { ArkError } from "@ark/node/protocol";
import { escaped } from "@ark/node/telemetry";
import type { HostNames } from "./host_names.ts";

/** What {@linkcode localGuard} goes by. */
export interface LocalGuardOptions {
  /** Names under which the listener may be called. */
  hosts: Pick<HostNames, "has">;
  /** Origins of web pages that may use the API for programs, exactly as browsers write them. */
  origins: ReadonlySet<string>;
  /** Whether a path has a key in it that only pages of a content pack know: those may read that pack. */
  opened?(path: string): boolean;
  /** Writes a refusal. */
  refuse(error: ArkError, path: string): Response;
}

/** What a page may read of an answer's header beside the fields that every page may read. */
const READABLE =
  "request-id, retry-after, retry-after-ms, x-ark-node, x-ark-reason, x-ark-route, x-request-id, x-should-retry";

/**
 * Keeps web pages out of the owner's listener, before anything runs. The `Host` must be a name of this listener, which a
 * page that had its own name resolve to this machine cannot send. A page may use the APIs for programs (`/v1/…`, `/api/…`)
 * when the owner named its origin; everything else answers no page but the dashboard, which comes from this very listener, and
 * not even another one of this machine: what a browser says of itself (`Origin`, `Referer`, `Sec-Fetch-…`) is enough to be refused.
 */
export function localGuard({ hosts, origins, opened, refuse }: LocalGuardOptions): MiddlewareHandler {
  return async (context, next) => {
    const { req } = context;
    const host = req.header("host") ?? "";
    // A request that names two hosts would be one for us and another one for a proxy between.
    const isRead = (req.method === "GET" || req.method === "HEAD") && opened?.(req.path) === true;
    const reason = hosts.has(host) && authorityOf(req.url) === host.toLowerCase()
      ? isRead ? null : pageFault(context, origins)
      : "This API answers on loopback names only, and on names of its own machine where others can reach it: use " +
        "http://127.0.0.1, let a reverse proxy set the Host header to that, or add the name with --allow-host";
    if (reason !== null) return refuse(new ArkError("forbidden", reason), req.path);
    const origin = req.header("origin");
    if (origin === undefined || isRead || isOwnPage(context)) return await next();
    if (req.method === "OPTIONS") return preflight(origin, req.raw.headers);
    await next();
    context.res.headers.set("access-control-allow-origin", origin);
    context.res.headers.set("access-control-expose-headers", READABLE);
    context.res.headers.append("vary", "origin");
  };
}

/**
 * Whether the browser says that a page of this very listener asks: the dashboard, since there is no other one. The host was
 * checked before, so that no other name can be meant, and what such a page may do is decided by its session.
 */
function isOwnPage({ req }: Context): boolean {
  const own = `http://${(req.header("host") ?? "").toLowerCase()}`;
  return req.header("origin") === own && req.header("sec-fetch-site") === "same-origin" &&
    req.header("sec-fetch-mode") !== "no-cors" && req.header("referer") === undefined;
}

/** Why what the browser says of the page forbids this request, or null. */
function pageFault(context: Context, origins: ReadonlySet<string>): string | null {
  if (isOwnPage(context)) return null;
  const { req } = context;
  const forPrograms = req.path.startsWith("/v1/") || req.path.startsWith("/api/");
  const origin = req.header("origin");
  const site = req.header("sec-fetch-site") ?? "none";
  if (!forPrograms && (origin !== undefined || req.header("referer") !== undefined)) {
    return "Web pages may not use this part of the node: the command line may, and /v1 is for programs";
  }
  if (origin !== undefined && !origins.has(origin)) {
    const shown = escaped(origin, 100);
    return `Web pages of ${shown} may not use this API: where that is your own, start the node with --allow-origin ${shown}`;
  }
  // The dashboard's own style and pictures; nothing in them is this node's.
  const isAsset = req.method === "GET" && /^\/ui(\/|$)/.test(req.path) && (site === "same-origin" || site === "none");
  if (isAsset) return null;
  // Browsers send these two by themselves, and no page can leave them out.
  if (req.header("sec-fetch-mode") === "no-cors") return "Web pages may not use this API without asking first (CORS)";
  if (origin === undefined && site !== "none" && site !== "same-origin") {
    return "Web pages of other sites may not use this API";
  }
  return null;
}

function preflight(origin: string, asked: Headers): Response {
  const headers = new Headers({
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, POST, DELETE, HEAD, OPTIONS",
    // Clients send a changing set of x-stainless-* fields; the origin was checked already.
    "access-control-allow-headers": asked.get("access-control-request-headers") ?? "content-type, authorization",
    "access-control-max-age": "600",
    vary: "origin",
  });
  // Chromium asks so before a page of the internet may talk to a machine at home.
  if (asked.get("access-control-request-private-network") === "true") {
    headers.set("access-control-allow-private-network", "true");
  }
  return new Response(null, { status: 204, headers });
}

/** The host and port of a URL as it was sent, in lower case. */
function authorityOf(url: string): string {
  const start = url.indexOf("//") + 2;
  const end = url.indexOf("/", start);
  return url.slice(start, end < 0 ? undefined : end).toLowerCase();
}
