import { Hono } from "hono";
import type { AuditLog } from "@ark/node/audit";
import { type NodeId, nodeIdOf, parseNodeId, parsePublicKey } from "@ark/node/identity";
import { describePermissions, type Neighbourhood, type PeerBook } from "@ark/node/peers";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { PeerTable } from "@ark/node/routing";
import type { Events } from "@ark/node/telemetry";
import { arkErrorResponse } from "../ark_error.ts";
import { readJson } from "../api/request_json.ts";
import type { WakeControl } from "./wake_routes.ts";
import { discoveredPeer, peerStatus } from "./owner_view.ts";

/** What the peer routes need. */
export interface PeerRoutesOptions {
  /** Approved peers. */
  book: PeerBook;
  /** Nodes that were seen. */
  neighbourhood: Neighbourhood;
  /** What approved peers offer. */
  table: PeerTable;
  /** Records approvals and revocations. */
  audit: Pick<AuditLog, "append">;
  /** Told of them. */
  events: Pick<Events, "emit">;
  /** Knows who sleeps; without it nobody does. */
  wake?: WakeControl;
}

const BODY_BYTES = 1 << 20;

/** `GET /peers/discovered`, `GET /peers/status`, `POST /peers/approve`, `POST /peers/revoke`. */
export function peerRoutes({ book, neighbourhood, table, audit, events, wake }: PeerRoutesOptions): Hono {
  const status = () =>
    table.list().map((view) => peerStatus(view, { asleep: wake?.asleep(view.peer.node_id) ?? false }));
  const app = new Hono();
  app.get("/discovered", ({ json }) => {
    const peers = neighbourhood.list().map((found) =>
      discoveredPeer(found, { standing: book.standing(found.id), peer: book.get(found.id) })
    );
    return json({ peers });
  });
  app.get("/status", ({ json }) => json({ peers: status(), fault: book.fault }));
  app.post("/approve", async ({ req, json }) => {
    const peer = await book.approve(await readJson(req.raw, BODY_BYTES));
    const recorded = await record("approve", peer.node_id);
    events.emit({ type: "peer", change: "approved", peer: peer.node_id });
    // The caller's next question is what this peer offers: it is asked now, and not at the next turn.
    if (!peer.paused) await table.ask(peer.node_id, AbortSignal.timeout(1_500)).catch(() => {});
    const standing = status().find(({ public_key }) => public_key === peer.public_key) ?? null;
    const summary = describePermissions(peer.name, peer.permissions, peer.expires_at ?? null);
    return json({ approved: peer, summary, status: standing, recorded });
  });
  app.post("/revoke", async ({ req, json }) => {
    const id = whoIs(await readJson(req.raw, BODY_BYTES), { act: "revoke" });
    const peer = await book.revoke(id);
    if (peer === undefined) {
      const message = "No approved peer has this id: 'ark-node peers list' shows those that there are";
      return arkErrorResponse(new ArkError("bad_request", message));
    }
    const recorded = await record("revoke", id);
    events.emit({ type: "peer", change: "revoked", peer: id });
    return json({ revoked: peer, recorded });
  });
  return app;

  /** Records an act of the owner. It counts whether or not it can be recorded: a revocation must not wait for a disk. */
  async function record(kind: "approve" | "revoke", peer: NodeId): Promise<boolean> {
    try {
      await audit.append({ kind, direction: null, peer });
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * The peer that a body names by `node_id` or `public_key`.
 *
 * @throws {ArkError} `bad_request`
 */
export function whoIs(body: unknown, { act }: { act: string }): NodeId {
  const { node_id, public_key } = (body ?? {}) as { node_id?: unknown; public_key?: unknown };
  try {
    if (typeof public_key === "string") return nodeIdOf(parsePublicKey(public_key));
    if (typeof node_id === "string") return parseNodeId(node_id);
  } catch (error) {
    throw new ArkError("bad_request", `Cannot tell whom to ${act}: ${reasonOf(error)}`);
  }
  throw new ArkError("bad_request", `Whom to ${act} is told by node_id or public_key`);
}
