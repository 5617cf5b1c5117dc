import type { AuditLog } from "@ark/node/audit";
import type { NodeId } from "@ark/node/identity";
import { type ErrorCode, reasonOf } from "@ark/node/protocol";
import type { Events, Logger } from "@ark/node/telemetry";

/** Options of {@linkcode PullSessions}. */
export interface PullSessionsOptions {
  /** Records start and end. */
  audit: Pick<AuditLog, "append">;
  /** Told of both. */
  events: Pick<Events, "emit">;
  /** Says when an end could not be recorded. */
  logger: Pick<Logger, "warn">;
  /** Whether a peer is still approved: the sessions of others end at once. */
  may(peer: NodeId, model: string): boolean;
  /** Monotonic time in milliseconds. @default {performance.now} */
  now?: () => number;
}

/** What a peer asks for. */
export interface Pulled {
  /** Who. */
  peer: NodeId;
  /** `name:tag` */
  model: string;
  /** SHA-256 of the signature of its request, hex. */
  request: string;
}

interface Session extends Pulled {
  began: number;
  used: number;
  chunks: number;
  bytes: number;
  /** Chunks that are on their way. */
  running: number;
  /** Digest of the only file that was asked for; null where there were none or several. */
  digest: string | null;
  several: boolean;
  started: Promise<unknown>;
}

/** Silence that ends a download, in milliseconds. */
const SILENT_MS = 60_000;
/** More than that at once ends the one that was silent for longest. */
const MOST_SESSIONS = 1_024;

/**
 * Downloads of peers as they are recorded: a download of a model is one `start`, durable before the first byte of it goes
 * out, and one `end` with how many chunks went, in `count`. It ends after a minute of silence, when the peer may not go on,
 * or when the node stops.
 */
export class PullSessions {
  readonly #options: PullSessionsOptions;
  readonly #now: () => number;
  readonly #sessions = new Map<string, Session>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** Makes a list without any. */
  constructor(options: PullSessionsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Downloads that have not ended. */
  get open(): number {
    return this.#sessions.size;
  }

  /**
   * Makes sure that a download is on the record, before anything of the model is told.
   *
   * @throws {ArkError} `audit_unavailable`
   */
  async begin({ peer, model, request }: Pulled): Promise<void> {
    const key = keyOf(peer, model);
    let session = this.#sessions.get(key);
    const now = this.#now();
    if (session === undefined) {
      if (this.#sessions.size >= MOST_SESSIONS) this.#endOldest();
      const { audit } = this.#options;
      const started = audit.append({ kind: "start", direction: "in", peer, model, request });
      const counts = { chunks: 0, bytes: 0, running: 0, digest: null, several: false };
      session = { peer, model, request, began: now, used: now, ...counts, started };
      this.#sessions.set(key, session);
      try {
        await started;
      } catch (error) {
        if (this.#sessions.get(key) === session) this.#sessions.delete(key);
        throw error;
      }
      this.#options.events.emit({ type: "upload", phase: "start", peer, model });
      this.#schedule();
    } else {
      session.used = now;
      // Whoever asks meanwhile waits for the same line.
      await session.started;
    }
  }

  /** Notes that a chunk of a file of a begun download goes out; to be called once more with what went when it is over. */
  chunk(
    { peer, model }: Pick<Pulled, "peer" | "model">,
    digest: string,
  ): (sent: { bytes: number; whole: boolean }) => void {
    const session = this.#sessions.get(keyOf(peer, model));
    if (session === undefined) return () => {};
    session.several ||= session.digest !== null && session.digest !== digest;
    session.digest = digest;
    session.running++;
    return ({ bytes, whole }) => {
      session.running--;
      session.used = this.#now();
      session.bytes += bytes;
      if (whole) session.chunks++;
    };
  }

  /** Ends the downloads of those who may not go on. */
  recheck(): void {
    for (const [key, session] of this.#sessions) {
      if (!this.#options.may(session.peer, session.model)) void this.#end(key, "forbidden");
    }
  }

  /** Ends all of them, and resolves when that is recorded. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await Promise.all([...this.#sessions.keys()].map((key) => this.#end(key, "ok")));
  }

  #endOldest(): void {
    const [key] = [...this.#sessions].sort(([, a], [, b]) => a.used - b.used)[0] ?? [];
    if (key !== undefined) void this.#end(key, "ok");
  }

  #schedule(): void {
    if (this.#timer !== null || this.#sessions.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const now = this.#now();
      for (const [key, { used, running }] of this.#sessions) {
        if (running === 0 && now - used >= SILENT_MS) void this.#end(key, "ok");
      }
      this.#schedule();
    }, SILENT_MS / 4);
    // Its end is recorded by `close` where the node stops before.
    Deno.unrefTimer(this.#timer);
  }

  async #end(key: string, outcome: "ok" | ErrorCode): Promise<void> {
    const session = this.#sessions.get(key);
    if (session === undefined) return;
    this.#sessions.delete(key);
    const { audit, events, logger } = this.#options;
    const { peer, model, request, chunks, bytes, began, used, digest, several } = session;
    const ms = used - began;
    events.emit({ type: "upload", phase: "end", peer, model, outcome, bytes, ms });
    try {
      await session.started;
      await audit.append({
        kind: "end",
        direction: "in",
        peer,
        model,
        request,
        ms,
        outcome,
        count: chunks,
        digest: several ? null : digest,
      });
    } catch (error) {
      logger.warn("The end of a download could not be recorded", { peer, model, reason: reasonOf(error) });
    }
  }
}

/** Neither has a space. */
function keyOf(peer: NodeId, model: string): string {
  return `${peer} ${model}`;
}
