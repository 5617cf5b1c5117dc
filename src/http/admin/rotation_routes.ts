import { Hono } from "hono";
import { formatNodeId, IdentityError, parseNodeId, type SignedRotation } from "@ark/node/identity";
import { describePermissions, type PeerRotation, type Rotations } from "@ark/node/peers";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { PeerTable } from "@ark/node/routing";
import { readJson } from "../api/request_json.ts";

/** What the calls about new keys need. */
export interface RotationRoutesOptions {
  /** Changes of peers' keys. */
  rotations: Rotations;
  /** Makes the key that follows this node's own at the next start. */
  rotate(): Promise<SignedRotation>;
  /** What approved peers offer. */
  table: PeerTable;
}

const BODY_BYTES = 8 << 10;

/**
 * | call | answer |
 * |---|---|
 * | `GET /peers/rotations` | peers that say they go on under another key |
 * | `POST /peers/rotations/accept` `{"node_id"}` | lets one of them; `node_id` is its old or its new id |
 * | `POST /identity/rotate` | makes a new key for this node, which it uses from its next start on |
 */
export function rotationRoutes({ rotations, rotate, table }: RotationRoutesOptions): Hono {
  const app = new Hono();
  app.get("/peers/rotations", ({ json }) => json({ rotations: rotations.list().map(rotationView) }));
  app.post("/peers/rotations/accept", async ({ req, json }) => {
    const { peer, old } = await rotations.accept(whoIs(await readJson(req.raw, BODY_BYTES)));
    await table.ask(peer.node_id, AbortSignal.timeout(1_500)).catch(() => {});
    const summary = describePermissions(peer.name, peer.permissions, peer.expires_at ?? null);
    return json({ accepted: peer, revoked: formatNodeId(old), summary });
  });
  app.post("/identity/rotate", async ({ req, json }) => {
    await readJson(req.raw, BODY_BYTES);
    const { old, new: next, seq, created } = await rotate().catch((error) => {
      if (error instanceof IdentityError) throw new ArkError("internal", error.message, { cause: error });
      throw error;
    });
    return json({ old: formatNodeId(old), new: formatNodeId(next), seq, created });
  });
  return app;
}

/** A change of keys as the owner sees it. */
export function rotationView(rotation: PeerRotation): PeerRotation {
  return { ...rotation, old: formatNodeId(rotation.old), new: formatNodeId(rotation.new) };
}

function whoIs(body: unknown): string {
  const id = (body as { node_id?: unknown } | null)?.node_id;
  if (typeof id !== "string") {
    throw new ArkError("bad_request", "Field node_id must be the old or the new id of a peer");
  }
  try {
    return parseNodeId(id);
  } catch (error) {
    throw new ArkError("bad_request", `Field node_id is not the id of a node: ${reasonOf(error)}`);
  }
}
