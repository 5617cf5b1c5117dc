import { Hono } from "hono";
import { formatNodeId } from "@ark/node/identity";
import type { PeerBook } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";
import type { Observations, Reputation } from "@ark/node/routing";
import { readJson } from "../api/request_json.ts";
import { whoIs } from "./peer_routes.ts";

/** How far a peer can be relied on, by what this node saw itself. */
export interface PeerReputation {
  /** Node id as shown. */
  node_id: string;
  /** Label. */
  name: string;
  /** Part of its answers that is reckoned to come to their end. */
  reliability: number;
  /** How much of what it claims of its speed is true. */
  honesty: number;
  /** Part of its answers that came to their end, or null. */
  success: number | null;
  /** Part of the answers it began that it ended, or null. */
  completeness: number | null;
  /** Part of its first tokens that came in twice the time that was expected, or null. */
  punctuality: number | null;
  /** Part of the time that it was there, or null. */
  uptime: number | null;
  /** Answers that this rests on; old ones count less. */
  answers: number;
}

/** What the reputation routes need. */
export interface ReputationRoutesOptions {
  /** Approved peers. */
  book: Pick<PeerBook, "list" | "get">;
  /** Who knows how they answered. */
  router: {
    /** How far they can be relied on. */
    readonly reputation: Pick<Reputation, "of" | "reset">;
    /** How fast they were. */
    readonly observations: Pick<Observations, "reset">;
  };
}

const BODY_BYTES = 1 << 16;

/** `GET /peers/reputation`, `POST /peers/reputation/reset`. */
export function reputationRoutes({ book, router: { reputation, observations } }: ReputationRoutesOptions): Hono {
  const app = new Hono();
  app.get("/reputation", ({ json }) =>
    json({
      peers: book.list().map(({ node_id, name }): PeerReputation => {
        const { key: _key, ...standing } = reputation.of(node_id);
        return { node_id: formatNodeId(node_id), name, ...standing };
      }),
    }));
  app.post("/reputation/reset", async ({ req, json }) => {
    const id = whoIs(await readJson(req.raw, BODY_BYTES), { act: "reset" });
    const peer = book.get(id);
    if (peer === undefined) {
      throw new ArkError(
        "bad_request",
        "No approved peer has this id: 'ark-node peers list' shows those that there are",
      );
    }
    reputation.reset(id);
    observations.reset(id);
    return json({ node_id: formatNodeId(id), name: peer.name });
  });
  return app;
}
