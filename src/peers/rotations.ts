import { type NodeId, rotationHash, shortId, type SignedRotation } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import type { RotationsTable, Store } from "@ark/node/store";
import type { ApprovedPeer } from "./approved_peer.ts";
import type { PeerBook } from "./peer_book.ts";
import { Turns } from "./turns.ts";

/** What came of a change of keys: the owner is asked, two keys claim to follow the same one, or it counts. */
export type RotationState = "pending" | "contested" | "accepted";

/** A peer that goes on under another key, as the owner is shown it. */
export interface PeerRotation {
  /** Id of its key that is approved here. */
  old: NodeId;
  /** Id of the key that follows it. */
  new: NodeId;
  /** The peer's label. */
  name: string;
  /** Whether the owner is to decide, or cannot. */
  state: "pending" | "contested";
  /** When it was heard of, RFC 3339. */
  heard_at: string;
  /** What it means and what to do, as a sentence. */
  sentence: string;
}

/** A change of keys that counts from now on. */
export interface AcceptedRotation {
  /** The peer's entry, under its new key. */
  peer: ApprovedPeer;
  /** Id of its old key, which is treated as revoked. */
  old: NodeId;
  /** SHA-256 of the old key's signature over the last step, hex. */
  statement: string;
}

/** Options of {@linkcode Rotations.open}. */
export interface RotationsOptions {
  /** Remembers what was heard. */
  store: Store;
  /** The approved peers. */
  book: PeerBook;
  /** This node, to whose key nobody else can change. */
  self: NodeId;
  /** Whether a change counts without the owner's word; at most one a day for each peer. */
  automatic: boolean;
  /** Told of each change that counts. */
  accepted(rotation: AcceptedRotation): Promise<void>;
}

const DAY_MS = 86_400_000;

/**
 * Peers that say they go on under another key.
 *
 * A statement that both keys signed moves nothing by itself: the owner says so, or has said so for all (`automatic`). The
 * new key must be one that nobody knows, the old one must be approved, and the number must be larger than the one before,
 * so that an old statement gives nothing back. Where two keys claim to follow the same one, somebody else has the old key
 * too: then neither can be accepted.
 */
export class Rotations {
  readonly #options: RotationsOptions;
  readonly #rows = new Map<NodeId, RotationsTable>();
  readonly #turns = new Turns();

  private constructor(options: RotationsOptions) {
    this.#options = options;
  }

  /** Reads what was heard before. */
  static async open(options: RotationsOptions): Promise<Rotations> {
    const rotations = new Rotations(options);
    for (const row of await options.store.selectFrom("rotations").selectAll().execute()) {
      rotations.#rows.set(row.old_id, row);
    }
    return rotations;
  }

  /** Changes that wait for the owner, of peers that are still approved. */
  list(): PeerRotation[] {
    return [...this.#rows.keys()].flatMap((old) => {
      const row = this.#waiting(old);
      const name = this.#options.book.get(old)?.name;
      if (row === undefined || name === undefined) return [];
      const state = row.state === "contested" ? "contested" : "pending";
      return [{ old, new: row.new_id, name, state, heard_at: row.heard_at, sentence: sentenceOf(row, name) }];
    });
  }

  /**
   * Hears a chain of rotations, oldest first and with true signatures, from the node that holds its last key.
   *
   * @throws {ArkError} `forbidden` where it changes nothing, with the reason for the node that sent it.
   */
  hear(chain: readonly SignedRotation[], from: NodeId): Promise<RotationState> {
    return this.#turns.take(async () => {
      if (chain.at(-1)?.new !== from) throw refused("Only the node that has the new key can say whom it follows");
      if (this.#isAccepted(chain, from)) return "accepted";
      const row = this.#judge(chain.slice(chain.findLastIndex(({ old }) => this.#options.book.get(old) !== undefined)));
      if (row !== this.#rows.get(row.old_id)) await this.#save(row);
      if (row.state === "contested" || !this.#options.automatic || !this.#mayFollowAlone(row.old_id)) {
        return row.state === "contested" ? "contested" : "pending";
      }
      await this.#accept(row);
      return "accepted";
    });
  }

  /**
   * Lets a peer go on under its new key: its permissions move, and the old key is treated as revoked.
   *
   * @throws {ArkError} `bad_request` where nothing waits for this id, or two keys claim the same; `internal` when it
   * cannot be written.
   */
  accept(id: NodeId): Promise<AcceptedRotation> {
    return this.#turns.take(async () => {
      const waiting = this.list().find((one) => one.old === id || one.new === id);
      const row = waiting === undefined ? undefined : this.#rows.get(waiting.old);
      if (waiting === undefined || row === undefined) {
        throw new ArkError("bad_request", "No approved peer has said that it goes on under this key");
      }
      if (waiting.state === "contested") throw new ArkError("bad_request", waiting.sentence);
      return await this.#accept(row);
    });
  }

  /** Notes rotations of this node itself; returns those that were not noted before. */
  async own(chain: readonly SignedRotation[]): Promise<SignedRotation[]> {
    const news = chain.filter(({ old }) => this.#rows.get(old)?.state !== "own");
    for (const rotation of news) {
      await this.#save({
        old_id: rotation.old,
        new_id: rotation.new,
        seq: rotation.seq,
        state: "own",
        chain: JSON.stringify([rotation]),
        heard_at: rotation.created,
        decided_at: rotation.created,
      });
    }
    return news;
  }

  /** What is to be remembered of the part of a chain that begins with an approved key: the row of before if nothing is new. */
  #judge(chain: readonly SignedRotation[]): RotationsTable {
    const { book, self } = this.#options;
    const [first] = chain;
    const last = chain.at(-1);
    if (first === undefined || last === undefined || book.get(first.old) === undefined) {
      throw refused("This node has approved none of the old keys");
    }
    for (const { new: key } of chain) {
      if (key === self || book.standing(key) !== "unknown") throw refused("This node knows the new key already");
    }
    const row = {
      old_id: first.old,
      new_id: last.new,
      seq: last.seq,
      state: "pending",
      chain: JSON.stringify(chain),
      heard_at: new Date().toISOString(),
      decided_at: null,
    };
    const before = this.#waiting(first.old);
    if (before?.state === "contested") return before;
    const late = before !== undefined && before.new_id !== last.new &&
      chainOf(before).some(({ new: k }) => k === last.new);
    if (late || first.seq <= this.#lastSeq(first.old)) {
      throw refused("This change of keys is older than one that this node has heard of");
    }
    if (before === undefined) return row;
    if (before.chain === row.chain) return before;
    if (chain.some(({ new: key }) => key === before.new_id)) return row;
    return { ...before, state: "contested", chain: JSON.stringify([...chainOf(before), ...chain]) };
  }

  /** What the owner has not decided on yet. That two keys claim the same is never forgotten, however often it is approved. */
  #waiting(old: NodeId): RotationsTable | undefined {
    const row = this.#rows.get(old);
    if (row === undefined || this.#options.book.get(old) === undefined) return undefined;
    return row.state === "pending" || row.state === "contested" ? row : undefined;
  }

  async #accept(row: RotationsTable): Promise<AcceptedRotation> {
    const { book, accepted } = this.#options;
    const peer = await book.succeed(row.old_id, row.new_id);
    const statement = chainOf(row).map(rotationHash).at(-1) ?? "";
    const rotation = { peer, old: row.old_id, statement };
    await this.#save({ ...row, state: "accepted", decided_at: new Date().toISOString() });
    await accepted(rotation);
    return rotation;
  }

  /** Whether the chain led to a key that is approved by now. */
  #isAccepted(chain: readonly SignedRotation[], from: NodeId): boolean {
    if (this.#options.book.get(from) === undefined) return false;
    return chain.some(({ old }) => this.#rows.get(old)?.new_id === from);
  }

  /** Number of the last rotation that counted, by which this key came or went. */
  #lastSeq(id: NodeId): number {
    const counted = [...this.#rows.values()].filter(({ old_id, new_id, state }) =>
      state === "accepted" && (old_id === id || new_id === id)
    );
    return Math.max(0, ...counted.map(({ seq }) => seq));
  }

  /** A peer that changes its key again and again is one to look at: only the first time in a day goes by itself. */
  #mayFollowAlone(old: NodeId): boolean {
    const came = [...this.#rows.values()].find(({ new_id, state }) => new_id === old && state === "accepted");
    const at = came?.decided_at ?? null;
    return at === null || Date.now() - Date.parse(at) >= DAY_MS;
  }

  async #save(row: RotationsTable): Promise<void> {
    await this.#options.store.insertInto("rotations").values(row)
      .onConflict((conflict) => conflict.column("old_id").doUpdateSet(row)).execute();
    this.#rows.set(row.old_id, row);
  }
}

function chainOf(row: RotationsTable): SignedRotation[] {
  return JSON.parse(row.chain);
}

function sentenceOf({ new_id, state }: RotationsTable, name: string): string {
  const next = shortId(new_id);
  return state === "contested"
    ? `Two keys claim to follow the one of ${name}, so somebody else has its old key, too: accept neither, revoke it, ` +
      "and approve the key that its owner tells you"
    : `${name} is the same node with a new key, ${next}, signed by the old one: 'ark-node peers accept-rotation ${next}' ` +
      "lets it go on with the same permissions";
}

function refused(sentence: string): ArkError {
  return new ArkError("forbidden", sentence);
}
