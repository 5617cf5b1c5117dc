import { Hono } from "hono";
import { toArkError } from "@ark/node/protocol";
import { arkErrorResponse } from "../ark_error.ts";
import type { EnergyHistory, History } from "@ark/node/telemetry";
import { adminGuard, type OwnerProof } from "./admin_guard.ts";
import { eventStream } from "./event_stream.ts";
import { gridOf, type GridOptions } from "./grid_route.ts";
import { type ModelWhyOptions, whyAnswer } from "./model_why_route.ts";
import { type RequestRoutesOptions, requestsAnswer } from "./request_routes.ts";

/** What the owner's views need. */
export type ViewRoutesOptions = GridOptions & RequestRoutesOptions & ModelWhyOptions & OwnerProof & {
  /** How the last hours were; without it nobody can see that. */
  history?: Pick<History, "shown">;
  /** What power they took. */
  energy?: Pick<EnergyHistory, "shown">;
};

/**
 * What the owner looks at, each with the admin token. It stands before the APIs for programs, which have the rest of `/api/`:
 *
 * | call | answer |
 * |---|---|
 * | `GET /grid` | the nodes within reach, what they have together, and what would be lost without each |
 * | `GET /api/v1/requests?count=N&follow=1` | the last requests and their journeys; with `follow` as a stream |
 * | `GET /api/v1/events` | `ArkEvent`s as server-sent events; `{"type":"hello"}` first and after a loss: everything is to be read anew |
 * | `GET /api/v1/history` | requests, tokens and times of the last hours, see `History`; with `energy` where this machine tells its power, see `EnergyShown` |
 * | `GET /api/v1/why?model=…` | who would answer a request for that model now and why, with the numbers |
 */
export function viewRoutes(options: ViewRoutesOptions): Hono {
  const app = new Hono();
  const guard = adminGuard(options);
  for (const path of ["/grid", "/api/v1/*"]) app.use(path, guard);
  app.get("/grid", async ({ json }) => json(await gridOf(options)));
  app.get("/api/v1/requests", ({ req }) => requestsAnswer(req.raw, options));
  app.get("/api/v1/why", ({ req, json }) => json(whyAnswer(req.query("model"), options)));
  app.get(
    "/api/v1/events",
    () => eventStream({ ...options, state: () => ({ type: "hello" }), each: (event) => event }),
  );
  app.get("/api/v1/history", ({ json }) => {
    const energy = options.energy?.shown() ?? null;
    return json({ ...options.history?.shown() ?? { step_ms: 0, samples: [] }, ...energy === null ? {} : { energy } });
  });
  app.onError((error) => arkErrorResponse(toArkError(error)));
  return app;
}
