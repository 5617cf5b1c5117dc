import { setTimeout as pause } from "node:timers/promises";
import type { NodeId, SignedRotation } from "@ark/node/identity";
import { toArkError } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { MeshClient } from "@ark/node/transport";
import { readJson } from "./peer_refusal.ts";
import type { PeerTable } from "./peer_table.ts";

/** Options of {@linkcode RotationAnnouncer}. */
export interface RotationAnnouncerOptions {
  /** This node. */
  self: NodeId;
  /** The rotations that led to its key, oldest first. */
  chain: readonly SignedRotation[];
  /** Knows which peers do not know the key, and where they are. */
  table: Pick<PeerTable, "list" | "addresses" | "refresh">;
  /** Tells them. */
  client: Pick<MeshClient, "request">;
  /** Port of our own mesh listener, 0 for none. */
  ownPort(): number;
  /** Says what they made of it. */
  logger: Pick<Logger, "info" | "debug">;
  /** Time between two looks, in milliseconds. @default {1000} */
  everyMs?: number;
  /** Time until a peer that waits for its owner is told again, in milliseconds. @default {30000} */
  againMs?: number;
}

const DEADLINE_MS = 5_000;
const ANSWER_BYTES = 4 << 10;
const FAILED_MS = 5_000;
const REFUSED_MS = 300_000;

/**
 * Tells approved peers that this node goes on under another key: each peer that answers and does not know us, again and
 * again until it does. Does nothing on a node that still has its first key.
 */
export class RotationAnnouncer {
  readonly #options: Required<RotationAnnouncerOptions>;
  readonly #due = new Map<NodeId, number>();

  /** Makes an announcer that has told nobody yet. */
  constructor(options: RotationAnnouncerOptions) {
    this.#options = { everyMs: 1_000, againMs: 30_000, ...options };
  }

  /** Tells until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { chain, self, everyMs } = this.#options;
    // After a key was put back from a backup, the statements tell of another one.
    const has = chain.at(-1)?.new === self;
    while (!signal.aborted) {
      if (has) await Promise.all(this.#strangers().map((id) => this.#tell(id, signal)));
      await pause(has ? everyMs : 3_600_000, undefined, { signal }).catch(() => {});
    }
  }

  /** Peers that do not know us, and whose turn it is. */
  #strangers(): NodeId[] {
    const now = performance.now();
    const views = this.#options.table.list();
    const ids = new Set(views.map(({ peer }) => peer.node_id));
    for (const id of this.#due.keys()) if (!ids.has(id)) this.#due.delete(id);
    return views.filter(({ state, peer }) => state === "not_approved" && now >= (this.#due.get(peer.node_id) ?? 0))
      .map(({ peer }) => peer.node_id);
  }

  async #tell(id: NodeId, signal: AbortSignal): Promise<void> {
    const { chain, table, client, ownPort, logger, againMs } = this.#options;
    let wait = FAILED_MS;
    try {
      const { status, body } = await client.request({ id, addresses: table.addresses(id) }, {
        method: "POST",
        path: `/ark/v1/rotate?port=${ownPort()}`,
        body: JSON.stringify({ rotations: chain }),
        deadlineMs: DEADLINE_MS,
        whole: true,
        signal,
      });
      const said = await readJson(body, ANSWER_BYTES) as { state?: unknown; error?: { code?: unknown } } | null;
      if (said?.state === "accepted") {
        logger.info("A peer took our new key", { peer: id });
        table.refresh();
      } else if (status === 200) {
        wait = againMs;
        logger.info("A peer's owner is asked whether our new key counts", { peer: id });
      } else {
        wait = status === 429 ? againMs : REFUSED_MS;
        logger.info("A peer did not take our new key", { peer: id, code: String(said?.error?.code).slice(0, 40) });
      }
    } catch (error) {
      logger.debug("A peer could not be told of our new key", { peer: id, reason: toArkError(error).message });
    }
    this.#due.set(id, performance.now() + wait);
  }
}
