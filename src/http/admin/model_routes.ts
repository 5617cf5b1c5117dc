import { Hono } from "hono";
import type { LocalModel, ModelCatalogue, ModelStore, PullProgress } from "@ark/node/models";
import { ArkError, type ModelRef, toArkError } from "@ark/node/protocol";
import type { Router } from "@ark/node/routing";
import { readJson } from "../api/request_json.ts";

/** What the owner's calls about models need. */
export interface ModelRoutesOptions {
  /** Everything within reach. */
  router: Pick<Router, "models">;
  /** This node's own models, or null. */
  engine: {
    /** Knows which there are, and what cannot be used. */
    catalogue: Pick<ModelCatalogue, "faults" | "find">;
    /** Fetches and removes them. */
    models?: Pick<ModelStore, "pull" | "remove" | "copy" | "waiting" | "diskUse">;
  } | null;
  /** Aborted when the node begins to stop: pulls end, and what came is kept. */
  closing: AbortSignal;
}

/** A model of this node, as the owner is told about it. */
export type OwnModelView = Omit<LocalModel, "mtimeMs">;

/** A line of a pull's answer: how far it is, or why it failed, which is the last line. */
export type PullLine = PullProgress | { readonly error: { readonly code: string; readonly message: string } };

const BODY_BYTES = 4 << 10;

/**
 * | call | answer |
 * |---|---|
 * | `GET /` | models within reach, files that cannot be used, models that wait for approval, what unfinished ones take of the disk |
 * | `GET /show?model=…` | all that is known of a model of this node |
 * | `POST /pull` `{model, from?}` | lines of JSON, the last one `{"status":"success"}` or `{"error":{…}}`; leaving ends the pull; `from` names the peer that it is to come from |
 * | `POST /remove` `{model}` | removes a model of the node's own store, or a name that was given |
 * | `POST /copy` `{from, to}` | gives a model a second name |
 */
export function modelRoutes(options: ModelRoutesOptions): Hono {
  const { router, engine, closing } = options;
  const app = new Hono();
  const store = () => {
    if (engine?.models !== undefined) return engine.models;
    throw new ArkError("unavailable", "This node keeps no models: it has not the role compute");
  };
  app.get("/", async ({ json }) =>
    json({
      models: router.models(),
      faults: engine?.catalogue.faults() ?? [],
      waiting: await engine?.models?.waiting() ?? [],
      disk: await engine?.models?.diskUse() ?? { parts: 0, partBytes: 0, waitingBytes: 0 },
    }));
  app.get("/show", ({ req, json }) => {
    const ref = modelNamed(req.query("model"), "model");
    const found = engine?.catalogue.find(ref);
    if (found === undefined) throw new ArkError("model_not_found", `There is no model ${ref} on this node`);
    const { mtimeMs: _, ...model } = found;
    return json({ model: model satisfies OwnModelView });
  });
  app.post("/pull", async ({ req }) => {
    const { model, from } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    const [ref, models] = [modelNamed(model, "model"), store()];
    const chosen = from === undefined ? {} : { from: peerNamed(from) };
    return progressAnswer((signal) => models.pull(ref, { signal, ...chosen }), [closing, req.raw.signal]);
  });
  app.post("/remove", async ({ req, json }) => {
    const { model } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    const ref = modelNamed(model, "model");
    await store().remove(ref);
    return json({ removed: ref });
  });
  app.post("/copy", async ({ req, json }) => {
    const { from, to } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    await store().copy(modelNamed(from, "from"), modelNamed(to, "to"));
    return json({ from, to });
  });
  return app;
}

/** An answer in lines that tell how far a work is, which ends when one of the signals fires or the caller leaves. */
export function progressAnswer(
  work: (signal: AbortSignal) => AsyncGenerator<PullProgress>,
  signals: readonly AbortSignal[],
): Response {
  const stop = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) stop.abort();
    else signal.addEventListener("abort", () => stop.abort(), { once: true, signal: stop.signal });
  }
  return new Response(pullLines(work(stop.signal), stop), { headers: { "content-type": "application/x-ndjson" } });
}

function pullLines(pull: AsyncGenerator<PullProgress>, stop: AbortController): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const line = (value: PullLine) => encoder.encode(JSON.stringify(value) + "\n");
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await pull.next();
        if (!done) return controller.enqueue(line(value));
      } catch (error) {
        const { code, message } = toArkError(error);
        controller.enqueue(line({ error: { code: `ark_${code}`, message } }));
      }
      controller.close();
    },
    async cancel() {
      stop.abort();
      // How a pull ends that nobody waits for interests nobody.
      await pull.return(undefined).catch(() => {});
    },
  }, { highWaterMark: 0 });
}

function peerNamed(value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= 200 && !/\p{C}/u.test(value)) return value;
  throw new ArkError("bad_request", "Field from must name a peer");
}

/** A field that names a model, or says where one is. @throws {ArkError} `bad_request` */
export function modelNamed(value: unknown, field: string): ModelRef {
  // An address may be longer than a model's name.
  if (typeof value === "string" && value !== "" && value.length <= 2_000 && !/\p{C}/u.test(value)) return value;
  throw new ArkError("bad_request", `Field ${field} must name a model`);
}
