import { Hono } from "hono";
import type { AuditLog } from "@ark/node/audit";
import type { NodeId } from "@ark/node/identity";
import { readJson } from "../api/request_json.ts";
import { whoIs } from "./peer_routes.ts";

/** What came of waking a node. */
export interface WakeResult {
  /** Whether it is there now. */
  awake: boolean;
  /** The same as a sentence without a full stop. */
  sentence: string;
}

/** Wakes the owner's other nodes. */
export interface WakeControl {
  /** Whether a node sleeps, as far as is known, and can be woken. */
  asleep(id: NodeId): boolean;
  /**
   * Wakes one, and waits for it.
   *
   * @throws {ArkError} `bad_request` where it is none of the owner's own, or has not said how it is woken.
   */
  wakeNow(id: NodeId, signal: AbortSignal): Promise<WakeResult>;
}

/** What {@linkcode wakeRoutes} needs. */
export interface WakeRoutesOptions {
  /** Wakes nodes; without it there is no such call. */
  wake?: WakeControl;
  /** Records what the owner does. */
  audit: Pick<AuditLog, "append">;
}

const BODY_BYTES = 1 << 16;

/** `POST /peers/wake` with `{node_id}` or `{public_key}`: wakes one of the owner's other nodes, and waits until it is there. */
export function wakeRoutes({ wake, audit }: WakeRoutesOptions): Hono {
  const app = new Hono();
  if (wake === undefined) return app;
  app.post("/wake", async ({ req, json }) => {
    const id = whoIs(await readJson(req.raw, BODY_BYTES), { act: "wake" });
    const result = await wake.wakeNow(id, req.raw.signal);
    const recorded = await audit.append({ kind: "config", direction: null, peer: id }).then(() => true, () => false);
    return json({ ...result, recorded });
  });
  return app;
}
