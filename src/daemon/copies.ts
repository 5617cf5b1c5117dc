import { statfs } from "node:fs/promises";
import type { Config } from "@ark/node/config";
import type { NodeId } from "@ark/node/identity";
import { CopyKeeper, CopyWishes, decodeCopyState, type ModelCatalogue } from "@ark/node/models";
import type { PeerBook } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";
import { type PeerTable, readJson } from "@ark/node/routing";
import type { Logger } from "@ark/node/telemetry";
import type { MeshClient } from "@ark/node/transport";
import type { OwnEngine } from "./role.ts";
import { attempt } from "./start_error.ts";

/** What {@linkcode openCopies} stands on. */
export interface CopiesGround {
  /** What the owner set. */
  config: Pick<Config, "acceptCopies" | "paths">;
  /** Who this node is. */
  self: NodeId;
  /** Its models. */
  engine: Pick<OwnEngine, "catalogue" | "models">;
  /** Which peers are the owner's own. */
  book: Pick<PeerBook, "list">;
  /** Where they are. */
  table: Pick<PeerTable, "addresses">;
  /** Talks to them. */
  client: Pick<MeshClient, "request">;
  /** The node's log. */
  logger: Logger;
}

/** Copies of models among the owner's nodes. */
export interface Copies {
  /** What the owner wishes of them. */
  wishes: CopyWishes;
  /** Fetches what is missing here. */
  keeper: CopyKeeper;
  /** The models that are here. */
  catalogue: ModelCatalogue;
}

/** What stays free on the disk, as with every pull. */
const RESERVE_BYTES = 256 << 20;
const DEADLINE_MS = 5_000;
const STATE_BYTES = 4 << 20;

/**
 * Opens what this node's owner wishes of copies, and what keeps them.
 *
 * @throws {StartError} with one sentence for the owner.
 */
export async function openCopies(ground: CopiesGround): Promise<Copies> {
  const { config, self, engine: { catalogue, models }, book, table, client, logger } = ground;
  const wishes = await attempt("read which copies are wished for", () => CopyWishes.open(config.paths.copies));
  const keeper = new CopyKeeper({
    self,
    accepts: config.acceptCopies,
    wishes,
    models: () => catalogue.list(),
    async freeBytes() {
      const { bavail, bsize } = await statfs(config.paths.models);
      return Math.max(0, bavail * bsize - RESERVE_BYTES);
    },
    own: () => book.list().filter(({ own, paused }) => own === true && !paused).map(({ node_id: id }) => id),
    async ask(id, signal) {
      const to = { id, addresses: table.addresses(id) };
      const call = { method: "GET", path: "/ark/v1/copies", deadlineMs: DEADLINE_MS, whole: true, signal };
      const { status, body } = await client.request(to, call);
      const state = await readJson(body, STATE_BYTES);
      if (status !== 200) throw new ArkError("forbidden", "That node does not take this one for its owner's own");
      return decodeCopyState(state);
    },
    pull(model, { from, signal }) {
      // From that node of the owner's alone: a name is not looked for anywhere else.
      const options = { from, signal };
      return models.pull(model, options);
    },
    logger,
  });
  return { wishes, keeper, catalogue };
}
