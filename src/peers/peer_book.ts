import { dirname } from "node:path";
import type { NodeId } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import type { Logger } from "@ark/node/telemetry";
import { type ApprovedPeer, decodeApproval } from "./approved_peer.ts";

/** How a key stands with the owner. */
export type Standing = "approved" | "unknown" | "revoked";

/** What {@linkcode PeerBook.open} needs. */
export interface PeerBookOptions {
  /** `approved_peers.json` */
  path: string;
  /** Remembers who was revoked. */
  store: Store;
  /** Says when the file cannot be read. */
  logger: Logger;
  /** Called at once when peers lose their approval, before anything is written. */
  removed?: (ids: NodeId[]) => void;
  /** Called after the set of approved peers has changed. */
  changed?: () => void;
}

/**
 * The peers that the owner approved.
 *
 * | the file is | approved are |
 * |---|---|
 * | well formed | its entries whose expiry has not passed |
 * | missing | none |
 * | malformed | the last good set; changes through the API are refused until it is mended |
 */
export class PeerBook {
  readonly #path: string;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #removed: (ids: NodeId[]) => void;
  readonly #changed: () => void;
  readonly #revoked = new Set<NodeId>();
  #peers = new Map<NodeId, ApprovedPeer>();
  #fault: string | null = null;
  #stamp = "";
  #queue: Promise<unknown> = Promise.resolve();

  private constructor({ path, store, logger, removed = () => {}, changed = () => {} }: PeerBookOptions) {
    this.#path = path;
    this.#store = store;
    this.#logger = logger;
    this.#removed = removed;
    this.#changed = changed;
  }

  /** Reads the file and the list of revoked keys. */
  static async open(options: PeerBookOptions): Promise<PeerBook> {
    const book = new PeerBook(options);
    for (const row of await options.store.selectFrom("revoked_peers").select("node_id").execute()) {
      book.#revoked.add(row.node_id);
    }
    await book.reload();
    return book;
  }

  /** What is wrong with the file, as one sentence, or null. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Approved peers in the order of the file; expired ones are left out. */
  list(): ApprovedPeer[] {
    return [...this.#peers.values()].filter(unexpired);
  }

  /** An approved peer, or undefined when it is unknown, revoked or expired. */
  get(id: NodeId): ApprovedPeer | undefined {
    const peer = this.#peers.get(id);
    return peer !== undefined && unexpired(peer) ? peer : undefined;
  }

  /** How a key stands with the owner. */
  standing(id: NodeId): Standing {
    if (this.get(id) !== undefined) return "approved";
    return this.#revoked.has(id) ? "revoked" : "unknown";
  }

  /**
   * Approves a peer, or changes what an approved one may do, and writes the file.
   *
   * @throws {ArkError} `bad_request` for a wrong approval or a malformed file, `internal` when it cannot be written.
   */
  approve(approval: unknown): Promise<ApprovedPeer> {
    return this.#exclusive(async () => {
      await this.#refuseMalformed();
      const peer = decodeApproval(approval, new Date().toISOString());
      const peers = new Map(this.#peers).set(peer.node_id, peer);
      await this.#write(peers);
      this.#revoked.delete(peer.node_id);
      await this.#store.deleteFrom("revoked_peers").where("node_id", "=", peer.node_id).execute();
      this.#replace(peers);
      return peer;
    });
  }

  /**
   * Takes an approval back: out of memory and off the wire first, then durable, then it returns. Undefined when the key
   * was not approved.
   *
   * @throws {ArkError} `internal` when the file cannot be written; the peer is shut out all the same until a restart.
   */
  revoke(id: NodeId): Promise<ApprovedPeer | undefined> {
    const peer = this.#peers.get(id);
    if (peer === undefined) return Promise.resolve(undefined);
    this.#revoked.add(id);
    const peers = new Map(this.#peers);
    peers.delete(id);
    this.#replace(peers);
    return this.#exclusive(async () => {
      await this.#refuseMalformed();
      const row = { node_id: id, public_key: peer.public_key, name: peer.name, revoked_at: new Date().toISOString() };
      await this.#store.insertInto("revoked_peers").values(row)
        .onConflict((conflict) => conflict.column("node_id").doUpdateSet(row)).execute();
      await this.#write(this.#peers);
      return peer;
    });
  }

  /** Reads the file again when it has changed. */
  reload(): Promise<void> {
    return this.#exclusive(() => this.#read());
  }

  /** Follows edits by hand, by looking at the file once a second: it works on every file system. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(1_000, signal);
      if (!signal.aborted) await this.reload();
    }
  }

  async #read(): Promise<void> {
    const stamp = await this.#fileStamp();
    if (stamp === this.#stamp) return;
    let text: string;
    try {
      text = stamp === "" ? `{"peers":[]}` : await Deno.readTextFile(this.#path);
    } catch (error) {
      this.#complain(`Cannot read ${this.#path}: ${error instanceof Error ? error.message : error}`);
      return;
    }
    this.#stamp = stamp;
    try {
      this.#replace(parsePeers(text));
      this.#fault = null;
      for (const id of this.#peers.keys()) this.#revoked.delete(id);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#complain(`Cannot use ${this.#path}: ${reason}; the peers of before stay approved until it is mended`);
    }
  }

  #complain(sentence: string): void {
    this.#fault = sentence;
    this.#logger.error(sentence);
  }

  #replace(peers: Map<NodeId, ApprovedPeer>): void {
    const gone = [...this.#peers.keys()].filter((id) => !peers.has(id));
    this.#peers = peers;
    if (gone.length > 0) this.#removed(gone);
    this.#changed();
  }

  async #refuseMalformed(): Promise<void> {
    await this.#read();
    if (this.#fault !== null) throw new ArkError("bad_request", `Nothing was changed: ${this.#fault}`);
  }

  async #write(peers: Map<NodeId, ApprovedPeer>): Promise<void> {
    try {
      await writeDurably(this.#path, JSON.stringify({ peers: [...peers.values()] }, null, 2) + "\n");
      this.#stamp = await this.#fileStamp();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ArkError("internal", `Cannot write ${this.#path}: ${reason}`, { cause: error });
    }
  }

  async #fileStamp(): Promise<string> {
    try {
      const { mtime, size, ino } = await Deno.stat(this.#path);
      return `${mtime?.getTime()}/${size}/${ino}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw new ArkError("internal", `Cannot look at ${this.#path}`, { cause: error });
    }
  }

  /** One change at a time: approvals, revocations and edits by hand never interleave. */
  #exclusive<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(act);
    this.#queue = result.catch(() => {});
    return result;
  }
}

function parsePeers(text: string): Map<NodeId, ApprovedPeer> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SyntaxError("it is not valid JSON");
  }
  const entries = (value as { peers?: unknown } | null)?.peers;
  if (!Array.isArray(entries)) throw new SyntaxError('it has no list "peers"');
  const peers = new Map<NodeId, ApprovedPeer>();
  for (const [index, entry] of entries.entries()) {
    try {
      const peer = decodeApproval(entry, new Date(0).toISOString());
      peers.set(peer.node_id, peer);
    } catch (error) {
      throw new SyntaxError(`entry ${index + 1}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return peers;
}

function unexpired(peer: ApprovedPeer): boolean {
  return peer.expires_at === undefined || Date.parse(peer.expires_at) > Date.now();
}

/** Replaces a file so that after a power cut there is the old text or the new one, never a part. Mode 0600. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  try {
    using file = await Deno.open(part, { write: true, createNew: true, mode: 0o600 });
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.sync();
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
  await Deno.rename(part, path);
  if (Deno.build.os !== "windows") {
    using directory = await Deno.open(dirname(path));
    await directory.sync();
  }
}

/** Waits, or returns at once when the signal fires; never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
