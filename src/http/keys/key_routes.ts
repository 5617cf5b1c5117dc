import { Hono } from "hono";
import type { AuditLog } from "@ark/node/audit";
import { ArkError } from "@ark/node/protocol";
import { arkErrorResponse } from "../ark_error.ts";
import { readJson } from "../api/request_json.ts";
import type { ApiKeyBook } from "./api_key_book.ts";

/** What the key routes need. */
export interface KeyRoutesOptions {
  /** The keys. */
  keys: ApiKeyBook;
  /** Whether the API answers nobody without one. */
  keysRequired: boolean;
  /** Records that a key was made or taken back. */
  audit: Pick<AuditLog, "append">;
}

const BODY_BYTES = 64 << 10;

/** `GET /keys` and `POST /keys`, `POST /keys/revoke`: a key's text is in the answer to `POST /keys`, and never again. */
export function keyRoutes({ keys, keysRequired, audit }: KeyRoutesOptions): Hono {
  const app = new Hono();
  app.get("/", ({ json }) => json({ keys: keys.list(), required: keysRequired }));
  app.post("/", async ({ req, json }) => {
    const { key, text } = await keys.create(await readJson(req.raw, BODY_BYTES));
    return json({ key, text, recorded: await record() });
  });
  app.post("/revoke", async ({ req, json }) => {
    const { key: which } = (await readJson(req.raw, BODY_BYTES) ?? {}) as { key?: unknown };
    if (typeof which !== "string") {
      throw new ArkError("bad_request", "A revocation needs the field key: a name or an id");
    }
    const key = await keys.revoke(which);
    if (key === undefined) {
      const message = "No API key in force has this name or id: 'ark-node keys list' shows those that there are";
      return arkErrorResponse(new ArkError("bad_request", message));
    }
    return json({ key, recorded: await record() });
  });
  return app;

  /** An act of the owner counts whether or not it can be recorded. */
  async function record(): Promise<boolean> {
    try {
      await audit.append({ kind: "config", direction: null, peer: null });
      return true;
    } catch {
      return false;
    }
  }
}
