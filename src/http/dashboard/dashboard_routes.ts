import { type Context, Hono } from "hono";
import { ArkError, toArkError } from "@ark/node/protocol";
import { adminGuard, hereGuard, type OwnerProof } from "../admin/admin_guard.ts";
import { readJson } from "../api/request_json.ts";
import { arkErrorResponse } from "../ark_error.ts";
import { sameToken } from "../admin/admin_token.ts";
import { bearerOf } from "../admin/bearer.ts";
import { type Asset, dashboardAssets } from "./dashboard_assets.ts";
import type { OwnerSessions } from "./owner_sessions.ts";

/** What the dashboard needs. */
export interface DashboardOptions extends OwnerProof {
  /** The owner's browsers. */
  sessions: OwnerSessions;
}

const BODY_BYTES = 4 << 10;

/**
 * The dashboard. What it shows it gets by the owner's calls, as the command line does.
 *
 * | call | answer |
 * |---|---|
 * | `GET /ui/` and files below | the page; for everybody, since nothing in it is this node's |
 * | `POST /ui/code` | with the admin token: `{"code"}`, to be exchanged once within five minutes |
 * | `POST /ui/session` `{code}` or `{token}` | `{"session"}` for a code, or for the admin token that the owner pasted |
 * | `POST /ui/logout` | ends the session that the call is made with |
 */
export function dashboardRoutes({ token, sessions }: DashboardOptions): Hono<{ Bindings: { remote?: string } }> {
  const app = new Hono<{ Bindings: { remote?: string } }>();
  app.use("/ui/code", adminGuard({ token })).use("/ui/logout", adminGuard({ token, sessions }));
  app.use("/ui/session", hereGuard());
  app.post("/ui/code", ({ json }) => json({ code: sessions.code() }));
  app.post("/ui/session", async ({ req, json }) => {
    const { code, token: given } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    if (typeof given === "string") {
      if (!sameToken(given, token)) {
        throw new ArkError("unauthenticated", "That is not the text of admin.token in the data directory");
      }
      return json({ session: sessions.open(sessions.code()) });
    }
    if (typeof code !== "string") throw new ArkError("bad_request", "Field code or token must be a text");
    return json({ session: sessions.open(code) });
  });
  app.post("/ui/logout", ({ req, json }) => {
    sessions.end(bearerOf(req.raw.headers));
    return json({ ended: true });
  });
  app.get("/ui", ({ redirect }) => redirect("/ui/"));
  app.get("/ui/", async (context) => answer(context, (await dashboardAssets()).page));
  app.get("/ui/:name", async (context) => {
    const asset = (await dashboardAssets()).files.get(context.req.param("name"));
    if (asset === undefined) throw new ArkError("bad_request", "The dashboard has no such file");
    return answer(context, asset);
  });
  app.onError((error) => arkErrorResponse(toArkError(error)));
  return app;
}

function answer({ req }: Context, { type, etag, plain, zipped, policy }: Asset): Response {
  const headers = new Headers({
    "content-type": type,
    etag,
    // Asked for each time, which costs no body: a new version must not meet an old page.
    "cache-control": "no-cache",
    "content-security-policy": policy,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "referrer-policy": "no-referrer",
    vary: "accept-encoding",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  });
  if (req.header("if-none-match") === etag) return new Response(null, { status: 304, headers });
  if (!/\bgzip\b/.test(req.header("accept-encoding") ?? "")) return new Response(plain, { headers });
  headers.set("content-encoding", "gzip");
  return new Response(zipped, { headers });
}
