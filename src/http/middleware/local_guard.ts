import { isIP } from "node:net";
import type { MiddlewareHandler } from "hono";
import { ArkError } from "@ark/node/protocol";

/**
 * Keeps web pages out of the owner's listener: the `Host` must be this machine's loopback name, which a page that had its
 * own name resolve to 127.0.0.1 cannot send, and an `Origin` must be loopback, too.
 */
export function localGuard(refuse: (error: ArkError, path: string) => Response): MiddlewareHandler {
  return async (context, next) => {
    const host = context.req.header("host") ?? "";
    if (!isLoopbackName(hostOf(host))) {
      return refuse(
        new ArkError(
          "forbidden",
          "This API answers on loopback names only: use http://127.0.0.1, and let a reverse proxy set the Host header to that",
        ),
        context.req.path,
      );
    }
    const origin = context.req.header("origin");
    if (origin === undefined) return await next();
    if (!isLoopbackOrigin(origin)) {
      return refuse(new ArkError("forbidden", "Web pages of other sites may not use this API"), context.req.path);
    }
    if (context.req.method === "OPTIONS") {
      return preflight(origin, context.req.header("access-control-request-headers"));
    }
    await next();
    context.res.headers.set("access-control-allow-origin", origin);
    context.res.headers.append("vary", "origin");
  };
}

function preflight(origin: string, headers: string | undefined): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": origin,
      "access-control-allow-methods": "GET, POST, HEAD, OPTIONS",
      // Clients send a changing set of x-stainless-* fields; the origin was checked already.
      "access-control-allow-headers": headers ?? "content-type, authorization",
      "access-control-max-age": "600",
      vary: "origin",
    },
  });
}

function isLoopbackOrigin(origin: string): boolean {
  try {
    const { protocol, hostname } = new URL(origin);
    return (protocol === "http:" || protocol === "https:") && isLoopbackName(hostname);
  } catch {
    return false;
  }
}

function hostOf(host: string): string {
  return host.replace(/:\d+$/, "");
}

/** Whether a host name can only mean this machine: `localhost`, `127.…` or `[::1]`. */
export function isLoopbackName(name: string): boolean {
  const bare = name.replace(/^\[|\]$/g, "").toLowerCase();
  if (bare === "localhost" || bare.endsWith(".localhost") || bare === "::1") return true;
  return isIP(bare) === 4 && bare.startsWith("127.");
}
