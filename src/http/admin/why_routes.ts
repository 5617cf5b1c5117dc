import { Hono } from "hono";
import type { AuditLog } from "@ark/node/audit";
import { formatNodeId, type NodeId, nodeIdOf, parseNodeId, parsePublicKey } from "@ark/node/identity";
import type { Gate, PeerBook, Rotations } from "@ark/node/peers";
import { ArkError, decodeModelRef, reasonOf } from "@ark/node/protocol";
import { findOffered, type PeerTable } from "@ark/node/routing";
import { type Circumstances, explain } from "./explain.ts";
import type { SharingControl } from "./sharing_routes.ts";

/** What the explanations need. */
export interface WhyRoutesOptions {
  /** Approved peers. */
  book: PeerBook;
  /** Knows what each of them runs now, and has used up. */
  gate: Pick<Gate, "held" | "obstacle">;
  /** What they offer. */
  table: Pick<PeerTable, "list">;
  /** Peers that go on under another key. */
  rotations: Pick<Rotations, "list">;
  /** Knows whether requests can be recorded. */
  audit: Pick<AuditLog, "fault">;
  /** This node's own models, or null. */
  engine: {
    /** Runs them. */
    backend: {
      /** Why a model cannot run at the moment, or null. */
      failure(model: string): string | null;
    };
    /** Knows which there are. */
    catalogue: {
      /** The model that a person means. */
      find(model: string): { readonly id: string } | undefined;
    };
  } | null;
  /** Whether work is taken now; false while the node stops. */
  accepting(): boolean;
  /** Decides about sharing; without it nothing keeps peers away. */
  sharing?: Pick<SharingControl, "details">;
}

/** `GET /peers/why?peer=…&model=…`: why a peer may not ask a model here, and why we cannot ask it there. */
export function whyRoutes(options: WhyRoutesOptions): Hono {
  const app = new Hono();
  app.get("/why", ({ req, json }) => {
    const id = peerOf(req.query("peer") ?? "", options.book);
    const model = decodeModelRef(req.query("model") ?? "");
    const circumstances = circumstancesOf({ id, model }, options);
    const { details, ...explained } = explain(circumstances);
    const rotation = options.rotations.list().find(({ old, new: next }) => old === id || next === id);
    const all = rotation === undefined ? details : [...details, `${rotation.sentence}.`];
    return json({ peer: formatNodeId(id), name: circumstances.name, model, ...explained, details: all });
  });
  return app;
}

/** The peer that a text names: a key, an id, or the name of an approved one. */
function peerOf(text: string, book: PeerBook): NodeId {
  const named = book.list().filter(({ name }) => name === text);
  if (named.length > 1) throw new ArkError("bad_request", `Several peers have the name ${text}: write the id`);
  if (named[0] !== undefined) return named[0].node_id;
  try {
    return text.startsWith("ed25519:") ? nodeIdOf(parsePublicKey(text)) : parseNodeId(text);
  } catch (error) {
    throw new ArkError("bad_request", `Cannot tell which peer is meant: ${reasonOf(error)}`);
  }
}

function circumstancesOf(
  { id, model }: { id: NodeId; model: string },
  { book, gate, table, audit, engine, accepting, sharing }: WhyRoutesOptions,
): Circumstances {
  const peer = book.get(id) ?? null;
  const { expired, revokedAt } = book.past(id);
  const view = table.list().find((one) => one.peer.node_id === id);
  const found = engine?.catalogue.find(model);
  const models = view?.offer?.models ?? [];
  const shared = sharing?.details();
  return {
    name: peer?.name ?? expired?.name ?? `Node ${id.slice(0, 8)}`,
    model,
    peer,
    expiredAt: expired?.expires_at ?? null,
    revokedAt,
    here: {
      accepting: accepting(),
      yields: shared === undefined || shared.shares || shared.state === "thrashing" ? null : shared.sentence,
      engine: engine !== null,
      model: found?.id ?? null,
      failure: engine?.backend.failure(model) ?? null,
      auditFault: audit.fault,
      held: gate.held(id),
      obstacle: peer === null ? null : gate.obstacle(peer),
    },
    there: view === undefined ? null : {
      state: view.state,
      reason: view.reason,
      since: view.since,
      models: models.map((one) => one.id),
      offers: findOffered(models, model) !== undefined,
      inFlight: view.inFlight,
      slots: view.offer?.max_concurrent_requests ?? null,
    },
  };
}
