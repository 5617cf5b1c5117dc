import type { MiddlewareHandler } from "hono";
import { ArkError } from "@ark/node/protocol";
import { arkErrorResponse } from "../ark_error.ts";
import { sameToken } from "./admin_token.ts";

const PROXY_FIELDS = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/** Lets only the owner in: the admin token, always, and never through a reverse proxy. */
export function adminGuard(token: string): MiddlewareHandler {
  return async ({ req }, next) => {
    if (PROXY_FIELDS.some((name) => req.header(name) !== undefined)) {
      return arkErrorResponse(
        new ArkError("forbidden", "Admin calls do not pass through a proxy: make them on this machine"),
      );
    }
    const given = /^Bearer (\S+)$/i.exec(req.header("authorization") ?? "")?.[1] ?? "";
    if (!sameToken(given, token)) {
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
