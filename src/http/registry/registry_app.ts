import { Hono } from "hono";
import { parseNodeId } from "@ark/node/identity";
import { ArkError, decodeSignedRegistration, REGISTRATION_LIMITS, toArkError } from "@ark/node/protocol";
import type { RegistryStore } from "@ark/node/store";
import { sourceOf } from "@ark/node/transport";
import { arkErrorResponse } from "../ark_error.ts";
import { readJson } from "../api/request_json.ts";
import { RegistryRoom } from "./registry_room.ts";
import { RegistryRates } from "./registry_rates.ts";

/** What a registry needs. */
export interface RegistryOptions {
  /** What it keeps. */
  store: RegistryStore;
  /** Most nodes. @default {1000000} */
  mostNodes?: number;
  /** Requests that one source may make in a minute: registrations, and questions. @default {{ writes: 30, reads: 600 }} */
  perMinute?: { writes: number; reads: number };
  /** Milliseconds since 1970. */
  now?(): number;
}

/** A page of a registry. */
export interface RegistryPage {
  /** Signed registrations, by rising id. */
  nodes: unknown[];
  /** What `after` has to be for the next page, or null. */
  next: string | null;
}

const BODY_BYTES = 32 << 10;
const MOST_PAGE = 200;
/** How far a node's clock may be ahead of ours. */
const SKEW_MS = 120_000;

/**
 * A list of nodes that want to be found; never a word about who may do what.
 *
 * | request | answer |
 * |---|---|
 * | `POST /registry/v1/nodes` | the body is a `SignedRegistration`; `{"seq","not_after"}`, or 401 `ark_replay` with the `seq` that is known |
 * | `GET /registry/v1/nodes?model=NAME&after=ID&limit=N` | a `RegistryPage`; `NAME` may end with `*` |
 * | `GET /registry/v1/nodes/ID` | the node's own registration, or 404 |
 * | `GET /healthz` | that it lives |
 *
 * Whoever reads checks the signatures himself: the registry can hide a node and cannot make one up.
 */
export function registryApp(
  { store, mostNodes = 1_000_000, perMinute = { writes: 30, reads: 600 }, now = Date.now }: RegistryOptions,
): (request: Request, from: { remote: string }) => Promise<Response> {
  const [writes, reads] = [new RegistryRates(perMinute.writes), new RegistryRates(perMinute.reads)];
  const room = new RegistryRoom(store, mostNodes);
  const app = new Hono<{ Bindings: { remote: string } }>();
  app.get("/healthz", ({ json }) => json({ status: "ok" }));
  app.use("/registry/*", async ({ req, env }, next) => {
    const wait = (req.method === "POST" ? writes : reads).waitSeconds(sourceOf(env.remote));
    if (wait > 0) {
      return arkErrorResponse(
        new ArkError("busy", "Too many requests come from your address: wait a little", { retryAfterSeconds: wait }),
      );
    }
    return await next();
  });
  app.post("/registry/v1/nodes", async ({ req, json }) => {
    const registration = decodeSignedRegistration(await readJson(req.raw, BODY_BYTES));
    const { node_id, seq, not_after, endpoints } = registration;
    const end = Date.parse(not_after);
    const time = now();
    if (end <= time) throw new ArkError("replay", "The registration has ended already: is your clock right?");
    if (end > time + REGISTRATION_LIMITS.lifeMs + SKEW_MS) {
      throw new ArkError("bad_request", "A registration counts for a day at most: is your clock right?");
    }
    if (await room.full() && await store.get(node_id, time) === undefined) {
      throw new ArkError("busy", "The registry is full: try later, or another one", { retryAfterSeconds: 3_600 });
    }
    const open = endpoints.length > 0;
    const known = await store.put({
      nodeId: node_id,
      seq,
      notAfter: end,
      open,
      models: open ? registration.models : [],
      statement: JSON.stringify(registration),
    });
    if (known === null) {
      room.taken();
      return json({ seq, not_after });
    }
    const refusal = new ArkError("replay", "A registration of this node with this number or a later one is known");
    return Response.json({ error: { code: "ark_replay", message: refusal.message }, seq: known }, { status: 401 });
  });
  app.get("/registry/v1/nodes", async ({ req }) => {
    const { model, after, limit = "100" } = req.query();
    if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > MOST_PAGE) {
      throw new ArkError("bad_request", `Field limit must be a whole number from 1 to ${MOST_PAGE}`);
    }
    if (model !== undefined && !/^[a-z0-9][a-z0-9._:/@+-]{0,199}\*?$/.test(model)) {
      throw new ArkError("bad_request", "Field model must be a model's name, or the beginning of one with * behind it");
    }
    if (after !== undefined && !/^[a-z2-7]{56}$/.test(after)) {
      throw new ArkError("bad_request", "Field after must be the id at which the last page ended");
    }
    const { statements, next } = await store.list({
      now: now(),
      limit: Number(limit),
      ...model === undefined ? {} : { model },
      ...after === undefined ? {} : { after },
    });
    // The statements are JSON already; to read and write them again would cost the most of the answer.
    return new Response(`{"nodes":[${statements}],"next":${JSON.stringify(next)}}`, {
      headers: { "content-type": "application/json" },
    });
  });
  app.get("/registry/v1/nodes/:id", async ({ req }) => {
    const statement = await store.get(idOf(req.param("id")), now());
    if (statement === undefined) {
      throw new ArkError("model_not_found", "The registry knows no such node");
    }
    return new Response(statement, { headers: { "content-type": "application/json" } });
  });
  app.notFound(() => arkErrorResponse(new ArkError("bad_request", "The registry has no such request")));
  app.onError((error) => arkErrorResponse(toArkError(error)));
  return async (request, from) => await app.fetch(request, from);
}

function idOf(text: string): string {
  try {
    return parseNodeId(text);
  } catch {
    throw new ArkError("bad_request", "That is not the id of a node");
  }
}
