import type { MiddlewareHandler } from "hono";
import { ArkError } from "@ark/node/protocol";
import { arkErrorResponse } from "../ark_error.ts";
import { isLoopbackAddress } from "../middleware/host_names.ts";
import { isProxied } from "../middleware/proxied.ts";
import type { OwnerSessions } from "../dashboard/owner_sessions.ts";
import { sameToken } from "./admin_token.ts";
import { bearerOf } from "./bearer.ts";

/** Who is the owner. */
export interface OwnerProof {
  /** The admin token. */
  token: string;
  /** The owner's browsers; without them there is no dashboard. */
  sessions?: OwnerSessions;
}

/** Lets only the owner in: the admin token or a session, always, from this machine, and never through a reverse proxy. */
export function adminGuard(proof: OwnerProof): MiddlewareHandler<{ Bindings: { remote?: string } }> {
  return async ({ req, env }, next) => {
    const fault = placeFault(req.raw, env?.remote ?? "") ?? (holdsToken(req.raw, proof) ? null : new ArkError(
      "unauthenticated",
      "Admin calls need the header 'Authorization: Bearer TOKEN' with the text of admin.token in the data directory",
    ));
    return fault === null ? await next() : arkErrorResponse(fault);
  };
}

/** Lets programs of this machine in, by its loopback address and not through a reverse proxy. */
export function hereGuard(): MiddlewareHandler<{ Bindings: { remote?: string } }> {
  return async ({ req, env }, next) => {
    const fault = placeFault(req.raw, env?.remote ?? "");
    return fault === null ? await next() : arkErrorResponse(fault);
  };
}

/** Why the place that a request comes from forbids it, or null. */
function placeFault({ headers }: Request, remote: string): ArkError | null {
  if (isProxied(headers)) {
    return new ArkError("forbidden", "Admin calls do not pass through a proxy: make them on this machine");
  }
  if (remote !== "" && !isLoopbackAddress(remote)) {
    return new ArkError("forbidden", "Admin calls are made on this machine, by its loopback address");
  }
  return null;
}

/** Whether a request carries the admin token, or that of a session of the dashboard. */
export function holdsToken({ headers }: Request, { token, sessions }: OwnerProof): boolean {
  const given = bearerOf(headers);
  return sameToken(given, token) || (given !== "" && sessions?.holds(given) === true);
}
