import { Hono } from "hono";
import { toArkError } from "@ark/node/protocol";
import { arkErrorResponse } from "../ark_error.ts";
import { adminGuard } from "./admin_guard.ts";
import { gridOf, type GridOptions } from "./grid_route.ts";
import { type ModelWhyOptions, whyAnswer } from "./model_why_route.ts";
import { type RequestRoutesOptions, requestsAnswer } from "./request_routes.ts";

/** What the owner's views need. */
export type ViewRoutesOptions = GridOptions & RequestRoutesOptions & ModelWhyOptions & {
  /** The admin token. */
  token: string;
};

/**
 * What the owner looks at, each with the admin token. It stands before the APIs for programs, which have the rest of `/api/`:
 *
 * | call | answer |
 * |---|---|
 * | `GET /grid` | the nodes within reach, what they have together, and what would be lost without each |
 * | `GET /api/v1/requests?count=N&follow=1` | the last requests and their journeys; with `follow` as a stream |
 * | `GET /api/v1/why?model=…` | who would answer a request for that model now and why, with the numbers |
 */
export function viewRoutes(options: ViewRoutesOptions): Hono {
  const app = new Hono();
  const guard = adminGuard(options.token);
  for (const path of ["/grid", "/api/v1/*"]) app.use(path, guard);
  app.get("/grid", async ({ json }) => json(await gridOf(options)));
  app.get("/api/v1/requests", ({ req }) => requestsAnswer(req.raw, options));
  app.get("/api/v1/why", ({ req, json }) => json(whyAnswer(req.query("model"), options)));
  app.onError((error) => arkErrorResponse(toArkError(error)));
  return app;
}
