import { formatPublicKey, type NodeId, publicKeyOf } from "@ark/node/identity";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import { type Logger, nextBeat } from "@ark/node/telemetry";
import { type Approval, type ApprovedPeer, decodeApproval } from "./approved_peer.ts";
import { writeDurably } from "@ark/node/store";
import { Turns } from "./turns.ts";

/** How a key stands with the owner. */
export type Standing = "approved" | "unknown" | "revoked";

/** What {@linkcode PeerBook.open} needs. */
export interface PeerBookOptions {
  /** `approved_peers.json` */
  path: string;
  /** Remembers who was revoked. */
  store: Store;
  /** Says when the file cannot be read or written. */
  logger: Pick<Logger, "warn" | "error">;
  /** Called at once when peers lose their approval or are paused, before anything is written. */
  removed?: (ids: NodeId[]) => void;
  /** Called after the set of approved peers, or what one of them may do, has changed. */
  changed?: () => void;
}

/**
 * The peers that the owner approved.
 *
 * | the file is | approved are |
 * |---|---|
 * | well formed | its entries whose expiry has not passed, and that were not revoked after they were approved |
 * | missing | none |
 * | malformed | the last good set; approvals through the API are refused until it is mended |
 *
 * A revocation is remembered in the database as well: an entry of before, in a file that could not be written or in a
 * backup that was put back, does not undo it. An entry with a later `approved_at`, or none in a file that was edited
 * later, does.
 */
export class PeerBook {
  readonly #path: string;
  readonly #store: Store;
  readonly #logger: Pick<Logger, "warn" | "error">;
  #removed: (ids: NodeId[]) => void = () => {};
  #changed: () => void = () => {};
  /** When each was revoked, RFC 3339. */
  readonly #revoked = new Map<NodeId, string>();
  /** Revocations on their way: they count from the moment they are asked for, whatever is written before them. */
  readonly #leaving = new Map<NodeId, number>();
  #peers: ReadonlyMap<NodeId, ApprovedPeer> = new Map();
  /** Those that were approved and not paused when it was last told. */
  #told: ReadonlySet<NodeId> = new Set();
  #fault: string | null = null;
  #writeFault: string | null = null;
  #stamp: string | null = null;
  /** One change at a time: approvals, revocations and edits by hand never interleave. */
  readonly #turns = new Turns();

  private constructor({ path, store, logger }: PeerBookOptions) {
    this.#path = path;
    this.#store = store;
    this.#logger = logger;
  }

  /** Reads the file and the list of revoked keys. The first set is no change: nobody is called. */
  static async open(options: PeerBookOptions): Promise<PeerBook> {
    const book = new PeerBook(options);
    for (const row of await options.store.selectFrom("revoked_peers").select(["node_id", "revoked_at"]).execute()) {
      book.#revoked.set(row.node_id, row.revoked_at);
    }
    await book.reload();
    book.#removed = options.removed ?? book.#removed;
    book.#changed = options.changed ?? book.#changed;
    return book;
  }

  /** What is wrong with the file, as one sentence, or null. */
  get fault(): string | null {
    return this.#fault ?? this.#writeFault;
  }

  /** Approved peers in the order of the file; expired ones are left out. */
  list(): ApprovedPeer[] {
    return [...this.#peers.values()].filter((peer) => this.#counts(peer));
  }

  /** Approvals that have ended and still stand in the file. */
  expired(): ApprovedPeer[] {
    return [...this.#peers.values()].filter((peer) => expired(peer));
  }

  /** An approved peer, or undefined when it is unknown, revoked or expired. */
  get(id: NodeId): ApprovedPeer | undefined {
    const peer = this.#peers.get(id);
    return peer !== undefined && this.#counts(peer) ? peer : undefined;
  }

  /** How a key stands with the owner. */
  standing(id: NodeId): Standing {
    if (this.get(id) !== undefined) return "approved";
    return this.#revoked.has(id) || this.#leaving.has(id) ? "revoked" : "unknown";
  }

  /** What was, of a key that is not approved now: an approval that has run out, and when it was revoked (RFC 3339). */
  past(id: NodeId): { expired: ApprovedPeer | null; revokedAt: string | null } {
    const peer = this.#peers.get(id);
    const revokedAt = this.#revoked.get(id) ?? null;
    return { expired: peer !== undefined && expired(peer) ? peer : null, revokedAt };
  }

  /**
   * Approves a peer, or changes what an approved one may do, and writes the file. An approved one keeps its name and its
   * WireGuard key where no other is given, and stays paused or unverified where the approval does not say otherwise.
   *
   * @throws {ArkError} `bad_request` for a wrong approval or a malformed file, `internal` when it cannot be written.
   * Nothing has changed then.
   */
  approve(approval: unknown): Promise<ApprovedPeer> {
    return this.#turns.take(async () => {
      await this.#read();
      if (this.#fault !== null) throw new ArkError("bad_request", `Nothing was changed: ${this.#fault}`);
      const peer = decodeApproval(approval, new Date().toISOString());
      if (expired(peer)) throw new ArkError("bad_request", "Field expires_at must be a time to come");
      const before = this.#peers.get(peer.node_id);
      if (before !== undefined) keep(peer, { before, said: approval as Approval });
      await this.#write(new Map(this.#peers).set(peer.node_id, peer));
      await this.#pardon([peer.node_id]);
      this.#replace(new Map(this.#peers).set(peer.node_id, peer));
      return peer;
    });
  }

  /**
   * Takes an approval back: out of memory and off the wire first, then durable, then it returns. Undefined when the key
   * was not approved. Where only the file cannot be written, the revocation holds all the same, and `fault` says so.
   *
   * @throws {ArkError} `internal` when neither the file nor the database can be written: the peer is shut out until a
   * restart.
   */
  async revoke(id: NodeId): Promise<ApprovedPeer | undefined> {
    this.#leaving.set(id, (this.#leaving.get(id) ?? 0) + 1);
    this.#tellRemoved();
    try {
      return await this.#turns.take(() => this.#revoke(id));
    } finally {
      const others = (this.#leaving.get(id) ?? 1) - 1;
      if (others > 0) this.#leaving.set(id, others);
      else this.#leaving.delete(id);
    }
  }

  /**
   * Sets a peer aside, or takes it in again: it stays approved, and may ask nothing meanwhile. A pause counts before it is
   * written, a resumption after. Undefined when the key is not approved.
   *
   * @throws {ArkError} `internal` when the file is malformed or cannot be written. A pause holds then until a restart.
   */
  setPaused(id: NodeId, paused: "paused" | "resumed"): Promise<ApprovedPeer | undefined> {
    return this.#turns.take(async () => {
      await this.#read();
      const { paused: _, ...rest } = this.#peers.get(id) ?? {} as Partial<ApprovedPeer>;
      if (rest.node_id === undefined || this.get(id) === undefined) return undefined;
      const peer = (paused === "paused" ? { ...rest, paused: true } : rest) as ApprovedPeer;
      const peers = new Map(this.#peers).set(id, peer);
      if (paused === "paused") this.#replace(peers);
      if (this.#fault !== null) throw new ArkError("internal", `This could not be written: ${this.#fault}`);
      await this.#write(peers);
      if (paused === "resumed") this.#replace(peers);
      return peer;
    });
  }

  /**
   * Puts a peer's new key in the place of its old one, with all that it may do. The old key counts as revoked from then on.
   *
   * @throws {ArkError} `bad_request` when the old key is not approved, the new one is known, or the file is malformed;
   * `internal` when it cannot be written. Nothing has changed then.
   */
  succeed(old: NodeId, next: NodeId): Promise<ApprovedPeer> {
    return this.#turns.take(async () => {
      await this.#read();
      if (this.#fault !== null) throw new ArkError("bad_request", `Nothing was changed: ${this.#fault}`);
      const before = this.get(old);
      if (before === undefined) throw new ArkError("bad_request", "The old key is not approved any more");
      if (this.#peers.has(next) || this.standing(next) !== "unknown") {
        throw new ArkError("bad_request", "The new key is one that this node knows already");
      }
      const now = new Date().toISOString();
      const peer = { ...before, node_id: next, public_key: formatPublicKey(publicKeyOf(next)), approved_at: now };
      const entries = [...this.#peers].map(([id, entry]): [NodeId, ApprovedPeer] =>
        id === old ? [next, peer] : [id, entry]
      );
      const peers = new Map(entries);
      // The file first: a crash in between leaves an old key that nobody approved.
      await this.#write(peers);
      this.#revoked.set(old, now);
      this.#replace(peers);
      await this.#remember({ node_id: old, public_key: before.public_key, name: before.name, revoked_at: now });
      return peer;
    });
  }

  /** Reads the file again when it has changed. */
  reload(): Promise<void> {
    return this.#turns.take(() => this.#read());
  }

  /** Follows edits by hand and expiries, by looking once a second: it works on every file system. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await nextBeat(1_000, { signal });
      if (signal.aborted) return;
      await this.reload();
      if (this.#tellRemoved()) this.#changed();
    }
  }

  async #revoke(id: NodeId): Promise<ApprovedPeer | undefined> {
    await this.#read();
    const peer = this.#peers.get(id);
    if (peer === undefined) return undefined;
    const revoked_at = new Date().toISOString();
    this.#revoked.set(id, revoked_at);
    const peers = new Map(this.#peers);
    peers.delete(id);
    this.#replace(peers);
    const remembered = await this.#remember({ node_id: id, public_key: peer.public_key, name: peer.name, revoked_at });
    try {
      // A malformed file is the owner's to mend: what is in it is not thrown away.
      if (this.#fault !== null) throw new ArkError("internal", this.#fault);
      await this.#write(peers);
    } catch (error) {
      if (!remembered) throw error;
    }
    return peer;
  }

  async #remember(row: { node_id: NodeId; public_key: string; name: string; revoked_at: string }): Promise<boolean> {
    try {
      await this.#store.insertInto("revoked_peers").values(row)
        .onConflict((conflict) => conflict.column("node_id").doUpdateSet(row)).execute();
      return true;
    } catch (error) {
      this.#logger.error("A revocation could not be written to the database", {
        peer: row.node_id,
        reason: reasonOf(error),
      });
      return false;
    }
  }

  /** Forgets that peers were revoked. A row that stays undoes nothing: their entries are younger. */
  async #pardon(ids: readonly NodeId[]): Promise<void> {
    const pardoned = ids.filter((id) => this.#revoked.delete(id));
    if (pardoned.length === 0) return;
    try {
      await this.#store.deleteFrom("revoked_peers").where("node_id", "in", pardoned).execute();
    } catch (error) {
      this.#logger.warn("The list of revoked peers could not be brought up to date", { reason: reasonOf(error) });
    }
  }

  async #read(): Promise<void> {
    const peers = await this.#readNew();
    if (peers === null) return;
    for (const { node_id: id, name, approved_at } of peers.values()) {
      if (approved_at > (this.#revoked.get(id) ?? "")) continue;
      peers.delete(id);
      const message = "A revoked peer is still in the file: approve it anew if it is to come back";
      this.#logger.warn(message, { peer: id, name });
    }
    await this.#pardon([...peers.keys()]);
    this.#replace(peers);
  }

  /** The entries of the file, or null where it has not changed or cannot be used. */
  async #readNew(): Promise<Map<NodeId, ApprovedPeer> | null> {
    try {
      const { stamp, mtime } = await this.#look();
      if (stamp === this.#stamp) return null;
      const source = stamp === "" ? `{"peers":[]}` : await Deno.readTextFile(this.#path);
      this.#stamp = stamp;
      const peers = parsePeers(source, mtime);
      this.#fault = this.#writeFault = null;
      return peers;
    } catch (error) {
      // What was not read is tried again, also where the file looks as it did.
      if (!(error instanceof SyntaxError)) this.#stamp = null;
      const sentence = `Cannot use ${this.#path}: ${
        reasonOf(error)
      }; the peers of before stay approved until it is mended`;
      if (this.#fault !== sentence) this.#logger.error(sentence);
      this.#fault = sentence;
      return null;
    }
  }

  /** Tells files apart: empty for none. `mtime` is when it was changed last, RFC 3339. */
  async #look(): Promise<{ stamp: string; mtime: string }> {
    try {
      const { mtime, size, ino } = await Deno.stat(this.#path);
      return { stamp: `${mtime?.getTime()}/${size}/${ino}`, mtime: (mtime ?? new Date()).toISOString() };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return { stamp: "", mtime: "" };
      throw error;
    }
  }

  async #write(peers: ReadonlyMap<NodeId, ApprovedPeer>): Promise<void> {
    try {
      await writeDurably(this.#path, JSON.stringify({ peers: [...peers.values()] }, null, 2) + "\n");
      this.#stamp = (await this.#look()).stamp;
      this.#writeFault = null;
    } catch (error) {
      this.#writeFault = `Cannot write ${this.#path}: ${reasonOf(error)}`;
      this.#logger.error(this.#writeFault);
      throw new ArkError("internal", this.#writeFault, { cause: error });
    }
  }

  #replace(peers: ReadonlyMap<NodeId, ApprovedPeer>): void {
    this.#peers = peers;
    this.#tellRemoved();
    this.#changed();
  }

  /** Tells whose approval has ended or rests, in whatever way, since it was last told; returns whether there was any. */
  #tellRemoved(): boolean {
    const now = new Set(this.list().filter(({ paused }) => !paused).map(({ node_id }) => node_id));
    const gone = [...this.#told].filter((id) => !now.has(id));
    this.#told = now;
    if (gone.length > 0) this.#removed(gone);
    return gone.length > 0;
  }

  #counts(peer: ApprovedPeer): boolean {
    return !expired(peer) && !this.#leaving.has(peer.node_id);
  }
}

function parsePeers(source: string, mtime: string): Map<NodeId, ApprovedPeer> {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw new SyntaxError("it is not valid JSON");
  }
  const entries = (value as { peers?: unknown } | null)?.peers;
  if (!Array.isArray(entries)) throw new SyntaxError('it has no list "peers"');
  const peers = new Map<NodeId, ApprovedPeer>();
  for (const [index, entry] of entries.entries()) {
    try {
      const peer = decodeApproval(entry, mtime);
      peers.set(peer.node_id, peer);
    } catch (error) {
      throw new SyntaxError(`entry ${index + 1}: ${reasonOf(error)}`);
    }
  }
  return peers;
}

/** Keeps of an approval of before what the new one does not speak of, and would not take away lightly. */
function keep(peer: ApprovedPeer, { before, said }: { before: ApprovedPeer; said: Approval }): void {
  if (said.name === undefined) peer.name = before.name;
  if (said.paused === undefined && before.paused) peer.paused = true;
  if (said.own === undefined && before.own) peer.own = true;
  if (said.verified === undefined && before.verified === false) peer.verified = false;
  if (said.wireguard_key === undefined && before.wireguard_key !== undefined) peer.wireguard_key = before.wireguard_key;
}

function expired({ expires_at }: ApprovedPeer): boolean {
  return expires_at !== undefined && Date.parse(expires_at) <= Date.now();
}
