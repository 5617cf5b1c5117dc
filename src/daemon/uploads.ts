import type { AuditLog } from "@ark/node/audit";
import {
  type BlobRoutes,
  blobRoutes,
  type BlobRoutesOptions,
  PullSessions,
  UploadPace,
  UploadSlots,
} from "@ark/node/http";
import { shortId } from "@ark/node/identity";
import type { Events, Logger, Metrics } from "@ark/node/telemetry";

/** What {@linkcode Uploads} stands on. */
export interface UploadsOptions extends Omit<BlobRoutesOptions, "sessions" | "slots" | "pace" | "sent"> {
  /** Bytes in a second to all peers together, or null. */
  limit: number | null;
  /** Whether a model works now, here or at a peer for us. */
  working(): boolean;
  /** Puts downloads on the record. */
  audit: Pick<AuditLog, "append">;
  /** Told of them. */
  events: Pick<Events, "emit">;
  /** The node's log. */
  logger: Pick<Logger, "warn">;
  /** What anybody may read. */
  metrics: Metrics;
  /** What the owner alone may read: it names peers. */
  peerMetrics: Metrics;
}

/** How long an answer to whether a model works holds, in milliseconds: it is asked for each piece. */
const LOOK_MS = 20;

/** What peers download from this node. Disposing it records the end of what has not ended. */
export class Uploads implements AsyncDisposable {
  /** Answers their requests. */
  readonly routes: BlobRoutes;
  readonly #sessions: PullSessions;

  /** Makes it without any. */
  constructor(options: UploadsOptions) {
    const { limit, working, audit, events, logger, peers, gate, metrics, peerMetrics } = options;
    this.#sessions = new PullSessions({
      audit,
      events,
      logger,
      may: (id, model) => {
        const peer = peers.get(id);
        return peer !== undefined && gate.permits(peer, "pull", model);
      },
    });
    const slots = new UploadSlots();
    const pace = new UploadPace({ limit, working: lately(working) });
    const total = metrics.counter("ark_upload_bytes_total", "Bytes of models' files that went to peers.");
    const each = peerMetrics.counter("ark_peer_upload_bytes_total", "Bytes of models' files that went to a peer.", [
      "peer",
    ]);
    const running = metrics.gauge("ark_uploads_running", "Chunks of models' files that are on their way to peers.");
    const downloads = metrics.gauge("ark_downloads_by_peers", "Downloads of models by peers that have not ended.");
    metrics.collect(() => {
      running.set(slots.running);
      downloads.set(this.#sessions.open);
    });
    this.routes = blobRoutes({
      ...options,
      sessions: this.#sessions,
      slots,
      pace,
      sent: (peer, bytes) => {
        total.add(bytes);
        each.add(bytes, { peer: shortId(peer) });
      },
    });
  }

  /** Has to be called when what peers may do has changed: the downloads that may not go on end. */
  recheck(): void {
    this.#sessions.recheck();
  }

  /** Records the end of all downloads. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions.close();
  }
}

/** Looks at most every {@linkcode LOOK_MS}. */
function lately(look: () => boolean): () => boolean {
  let at = -Infinity;
  let last = false;
  return () => {
    const now = performance.now();
    if (now - at >= LOOK_MS) [at, last] = [now, look()];
    return last;
  };
}
