import type { AuditLog } from "@ark/node/audit";
import type { NodeId } from "@ark/node/identity";

/** What a peer reads. */
export interface ContentRead {
  /** Who. */
  peer: NodeId;
  /** Name of the pack. */
  pack: string;
  /** SHA-256 of the signature of its request, hex. */
  request: string;
}

/** A peer that reads on within that time, in milliseconds, is not recorded again. */
const AGAIN_MS = 600_000;
/** Most readers that are remembered; whoever was forgotten is recorded again. */
const MOST_READERS = 1_024;

/**
 * Puts it on the record which packs peers read: a `start` and an `end` of `content:NAME`, durable before the first page goes out,
 * and again where that was ten minutes ago. Which pages is nobody's business.
 */
export class ContentRecord {
  readonly #audit: Pick<AuditLog, "append">;
  readonly #now: () => number;
  readonly #readers = new Map<string, { at: number; recorded: Promise<unknown> }>();

  /** Records in an audit log. `now` is monotonic time in milliseconds. */
  constructor({ audit, now = () => performance.now() }: { audit: Pick<AuditLog, "append">; now?: () => number }) {
    this.#audit = audit;
    this.#now = now;
  }

  /**
   * Resolves when it is on the record that a peer reads a pack.
   *
   * @throws {ArkError} `audit_unavailable`
   */
  async reads({ peer, pack, request }: ContentRead): Promise<void> {
    const key = `${peer} ${pack}`;
    const known = this.#readers.get(key);
    if (known !== undefined && this.#now() - known.at < AGAIN_MS) return void await known.recorded;
    const about = { direction: "in", peer, model: `content:${pack}`, request } as const;
    const recorded = Promise.all([
      this.#audit.append({ kind: "start", ...about }),
      this.#audit.append({ kind: "end", ...about, outcome: "ok", ms: 0 }),
    ]);
    const reader = { at: this.#now(), recorded };
    this.#readers.delete(key);
    this.#readers.set(key, reader);
    const [oldest] = this.#readers.keys();
    if (this.#readers.size > MOST_READERS && oldest !== undefined) this.#readers.delete(oldest);
    try {
      await recorded;
    } catch (error) {
      if (this.#readers.get(key) === reader) this.#readers.delete(key);
      throw error;
    }
  }
}
