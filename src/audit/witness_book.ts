import type { Identity, NodeId } from "@ark/node/identity";
import { reasonOf } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import type { Events, Logger } from "@ark/node/telemetry";
import type { AuditLog } from "./audit_log.ts";
import { cosign, isSignedByLog, parseCheckpoint } from "./checkpoint.ts";
import { EMPTY_ROOT, sameHash, verifyConsistency } from "./merkle_tree.ts";
import { parseWitnessRequest, type WitnessRequest } from "./witness_request.ts";

/** What a witness answers, to be put into an HTTP answer as it is. */
export interface WitnessAnswer {
  /** HTTP status: 200, 400, 403, 404, 409 or 422 as C2SP `tlog-witness` has them. */
  status: number;
  /** Type of the body. */
  type: string;
  /** A cosignature line, the size that is known, or a sentence. */
  body: string;
}

/** What {@linkcode WitnessBook} needs. */
export interface WitnessBookOptions {
  /** Remembers what was seen. */
  store: Store;
  /** This node, which cosigns. */
  identity: Identity;
  /** Records contradictions. */
  audit: Pick<AuditLog, "append">;
  /** When a peer was approved last, RFC 3339; undefined where it is not. */
  approvedAt(id: NodeId): string | undefined;
  /** Says what contradicts. */
  logger: Pick<Logger, "error" | "warn">;
  /** Told of contradictions. */
  events: Pick<Events, "emit">;
}

/** What is remembered of a log. */
interface Seen {
  size: number;
  root: Uint8Array;
  note: string;
  contradictedAt: string | null;
}

/**
 * This node as a witness of its peers' audit logs: it remembers the newest checkpoint of each, cosigns only what goes on
 * from there, and raises an alarm where a peer shows another history. An alarm stands until the owner revokes the peer,
 * or approves it anew, which takes its present log as a new beginning.
 */
export class WitnessBook {
  readonly #options: WitnessBookOptions;
  readonly #alarms = new Map<NodeId, string>();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: WitnessBookOptions) {
    this.#options = options;
  }

  /** Opens the book. */
  static async open(options: WitnessBookOptions): Promise<WitnessBook> {
    const book = new WitnessBook(options);
    const rows = await options.store.selectFrom("witnessed_logs").select(["node_id", "contradicted_at"])
      .where("contradicted_at", "is not", null).execute();
    for (const { node_id, contradicted_at } of rows) book.#alarms.set(node_id, contradicted_at ?? "");
    return book;
  }

  /** Contradictions that stand, each in a sentence for the owner. */
  faults(): string[] {
    return [...this.#alarms].filter(([id, at]) => this.#stands(id, at)).map(([id, at]) =>
      `The audit log that peer ${
        id.slice(0, 8)
      } showed at ${at} contradicts what it showed before: it was rewritten, ` +
      "or others are shown another one; revoke the peer, or approve it anew if you know why"
    );
  }

  /** Takes a peer's newest checkpoint. Never rejects but where the database fails. */
  add(caller: NodeId, text: string): Promise<WitnessAnswer> {
    // One at a time: between looking what is known and writing what is new nothing else may come.
    const answer = this.#last.then(() => this.#add(caller, text));
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** The newest checkpoint of a peer that this node cosigned, or null. */
  async remembered(caller: NodeId): Promise<string | null> {
    return (await this.#seen(caller))?.note ?? null;
  }

  async #add(caller: NodeId, text: string): Promise<WitnessAnswer> {
    let request: WitnessRequest;
    try {
      request = parseWitnessRequest(text);
    } catch (error) {
      return sentence(400, reasonOf(error));
    }
    const { old, proof, signed, note } = request;
    const { log, size, root } = signed.checkpoint;
    if (log !== caller) return sentence(404, "This node is a witness of your own log only");
    if (!isSignedByLog(signed)) return sentence(403, "The checkpoint is not signed by the key of its log");
    if (old > size) return sentence(400, "The old size is larger than the checkpoint");
    const seen = await this.#seen(caller) ?? { size: 0, root: EMPTY_ROOT, note: "" };
    if (size === seen.size && !sameHash(root, seen.root)) {
      await this.#contradicted(caller, note);
      return known(seen.size);
    }
    if (old !== seen.size) return known(seen.size);
    if (!verifyConsistency({ old, size, oldRoot: seen.root, root, proof })) {
      await this.#contradicted(caller, note);
      return sentence(422, "The proof does not show that the log goes on from what this witness saw");
    }
    await this.#remember(caller, { size, note });
    const time = Math.floor(Date.now() / 1_000);
    return {
      status: 200,
      type: "text/plain; charset=utf-8",
      body: `${cosign(this.#options.identity, signed, time)}\n`,
    };
  }

  async #seen(id: NodeId): Promise<Seen | undefined> {
    const row = await this.#options.store.selectFrom("witnessed_logs").selectAll().where("node_id", "=", id)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { size, note, contradicted_at: contradictedAt } = row;
    // The owner has seen the alarm, and approved the peer all the same.
    if (contradictedAt !== null && !this.#stands(id, contradictedAt)) {
      await this.#options.store.deleteFrom("witnessed_logs").where("node_id", "=", id).execute();
      this.#alarms.delete(id);
      return undefined;
    }
    return { size, root: parseCheckpoint(note).checkpoint.root, note, contradictedAt };
  }

  async #remember(id: NodeId, { size, note }: { size: number; note: string }): Promise<void> {
    const row = { node_id: id, size, note, seen_at: new Date().toISOString() };
    await this.#options.store.insertInto("witnessed_logs").values(row)
      .onConflict((conflict) => conflict.column("node_id").doUpdateSet(row)).execute();
  }

  async #contradicted(id: NodeId, note: string): Promise<void> {
    const { store, audit, logger, events } = this.#options;
    if (this.#alarms.has(id)) return;
    const at = new Date().toISOString();
    this.#alarms.set(id, at);
    await store.updateTable("witnessed_logs").set({ contradiction: note, contradicted_at: at }).where(
      "node_id",
      "=",
      id,
    )
      .execute();
    logger.error("The audit log of a peer contradicts what it showed before", { peer: id });
    events.emit({ type: "peer", change: "contradicted", peer: id });
    await audit.append({ kind: "alarm", direction: "in", peer: id }).catch((error) => {
      logger.warn("An alarm could not be recorded", { peer: id, reason: reasonOf(error) });
    });
  }

  #stands(id: NodeId, at: string): boolean {
    const approved = this.#options.approvedAt(id);
    return approved !== undefined && approved <= at;
  }
}

function known(size: number): WitnessAnswer {
  return { status: 409, type: "text/x.tlog.size", body: `${size}\n` };
}

function sentence(status: number, body: string): WitnessAnswer {
  return { status, type: "text/plain; charset=utf-8", body: `${body}\n` };
}
