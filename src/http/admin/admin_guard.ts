import type { MiddlewareHandler } from "hono";
import { ArkError } from "@ark/node/protocol";
import { arkErrorResponse } from "../ark_error.ts";
import { isLoopbackAddress } from "../middleware/host_names.ts";
import { isProxied } from "../middleware/proxied.ts";
import { sameToken } from "./admin_token.ts";

/** Lets only the owner in: the admin token, always, from this machine, and never through a reverse proxy. */
export function adminGuard(token: string): MiddlewareHandler<{ Bindings: { remote?: string } }> {
  return async ({ req, env }, next) => {
    if (isProxied(req.raw.headers)) {
      return arkErrorResponse(
        new ArkError("forbidden", "Admin calls do not pass through a proxy: make them on this machine"),
      );
    }
    const remote = env?.remote ?? "";
    if (remote !== "" && !isLoopbackAddress(remote)) {
      return arkErrorResponse(
        new ArkError("forbidden", "Admin calls are made on this machine, by its loopback address"),
      );
    }
    if (!holdsToken(req.raw, token)) {
      return arkErrorResponse(
        new ArkError(
          "unauthenticated",
          "Admin calls need the header 'Authorization: Bearer TOKEN' with the text of admin.token in the data directory",
        ),
      );
    }
    return await next();
  };
}

/** Whether a request carries the admin token. */
export function holdsToken({ headers }: Request, token: string): boolean {
  return sameToken(/^Bearer (\S+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "", token);
}
