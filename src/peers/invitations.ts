import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, hkdfSync, randomBytes, sign } from "node:crypto";
import { type NodeId, publicKeyOf, verify } from "@ark/node/identity";
import { ArkError, type Invitation, type InvitationProof } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";

/** What whoever accepts an invitation may do, in the words of an approval. */
export interface InvitationTerms {
  /** Label that the owner gives to whoever accepts; absent for the one that it tells. */
  name?: string;
  /** How long it may do that from the moment on when it accepts, in milliseconds; null for until it is revoked. */
  lives_ms: number | null;
  /** What it may do. */
  permissions: unknown;
}

/** An invitation as the owner sees it. */
export interface InvitationView {
  /** Names it in this node: the beginning of its public key. */
  readonly id: string;
  /** When it was made, RFC 3339. */
  readonly createdAt: string;
  /** Until when it can be accepted, RFC 3339. */
  readonly expiresAt: string;
  /** `open`, `accepted` or `expired`. */
  readonly state: "open" | "accepted" | "expired";
  /** Who accepted, or null. */
  readonly usedBy: NodeId | null;
  /** What whoever accepts may do. */
  readonly terms: InvitationTerms;
}

/** Shortest and longest life of an invitation, in milliseconds: a minute to 30 days. */
export const INVITATION_LIFE = { leastMs: 60_000, mostMs: 30 * 86_400_000 } as const;

const MOST_OPEN = 64;
/** How long one that is over is still listed. */
const KEEP_MS = 30 * 86_400_000;
/** By how much a clock may have been set back since an invitation was made. */
const CLOCK_SLACK_MS = 3_600_000;
const PROOF_DOMAIN = "ark-invite/1\n";
const KEY_INFO = "ark-invite-key/1";
/** PKCS#8 of an Ed25519 key up to its 32 bytes (RFC 8410). */
const PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");

/**
 * Invitations of this node, each good for one other node.
 *
 * Out of the secret a key pair is made. Only its public half is kept here: whoever reads this database can tell who knows
 * the secret, and cannot accept anything. Whoever accepts signs both nodes' keys with it, so the secret never travels but
 * in the link.
 */
export class Invitations {
  readonly #store: Store;
  readonly #now: () => number;
  /** When those end that were made in this run, by a clock that nobody sets back. */
  readonly #deadlines = new Map<string, number>();

  /** Uses a database. `now` is monotonic, in milliseconds. */
  constructor(store: Store, { now = () => performance.now() }: { now?: () => number } = {}) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Makes an invitation, durable when this returns.
   *
   * @throws {ArkError} `bad_request` for a life that is too short or too long; `busy` when too many are open.
   */
  async create(
    { lifeMs, terms }: { lifeMs: number; terms: InvitationTerms },
  ): Promise<{ view: InvitationView; secret: Uint8Array<ArrayBuffer> }> {
    if (!(lifeMs >= INVITATION_LIFE.leastMs && lifeMs <= INVITATION_LIFE.mostMs)) {
      throw new ArkError("bad_request", "An invitation lives between a minute and 30 days");
    }
    await this.#forgetOld();
    if ((await this.list()).filter(({ state }) => state === "open").length >= MOST_OPEN) {
      throw new ArkError("busy", "Too many invitations are open: take some back with 'ark-node invites revoke'");
    }
    const secret = Uint8Array.from(randomBytes(16));
    const created_ms = Date.now();
    const row = {
      public_key: invitationKeys(secret).publicKey.toHex(),
      created_ms,
      expires_ms: created_ms + Math.round(lifeMs),
      terms: JSON.stringify(terms),
      used_ms: null,
      used_by: null,
    };
    await this.#store.insertInto("invitations").values(row).execute();
    this.#deadlines.set(row.public_key, this.#now() + lifeMs);
    return { view: this.#view(row), secret };
  }

  /** All of them, the latest first. */
  async list(): Promise<InvitationView[]> {
    const rows = await this.#store.selectFrom("invitations").selectAll().orderBy("created_ms", "desc").execute();
    return rows.map((row) => this.#view(row));
  }

  /** Takes an invitation back that nobody has accepted yet, by the beginning of its key; undefined when none fits. */
  async revoke(id: string): Promise<InvitationView | undefined> {
    const fits = (await this.list()).filter((view) => view.state === "open" && view.id === id);
    const [view] = fits;
    if (view === undefined) return undefined;
    const [row] = await this.#store.deleteFrom("invitations").where("public_key", "like", `${view.id}%`)
      .where("used_ms", "is", null).returningAll().execute();
    return row === undefined ? undefined : view;
  }

  /**
   * Accepts an invitation for a node: in one write, so that of any number of callers one wins.
   *
   * @throws {ArkError} `forbidden`, with the same sentence for every reason.
   */
  async redeem(proof: InvitationProof, { caller, self }: { caller: NodeId; self: NodeId }): Promise<InvitationTerms> {
    const message = proofMessage({ inviter: self, accepter: caller });
    const key = Uint8Array.fromHex(proof.invitation);
    if (caller === self || !verify(key, message, Uint8Array.fromHex(proof.proof))) throw notAccepted();
    const now = Date.now();
    const deadline = this.#deadlines.get(proof.invitation) ?? Infinity;
    if (this.#now() >= deadline) throw notAccepted();
    const [row] = await this.#store.updateTable("invitations").set({ used_ms: now, used_by: caller })
      .where("public_key", "=", proof.invitation).where("used_ms", "is", null)
      .where("expires_ms", ">", now).where("created_ms", "<=", now + CLOCK_SLACK_MS)
      .returning("terms").execute();
    if (row === undefined) throw notAccepted();
    return JSON.parse(row.terms);
  }

  /** Whether a node has accepted this very invitation before: its answer may have been lost. */
  async wasAcceptedBy(proof: InvitationProof, { caller, self }: { caller: NodeId; self: NodeId }): Promise<boolean> {
    const message = proofMessage({ inviter: self, accepter: caller });
    if (!verify(Uint8Array.fromHex(proof.invitation), message, Uint8Array.fromHex(proof.proof))) return false;
    const row = await this.#store.selectFrom("invitations").select("used_by")
      .where("public_key", "=", proof.invitation).executeTakeFirst();
    return row?.used_by === caller;
  }

  /** Gives an invitation back that was accepted and could not be put into effect. */
  async restore(proof: InvitationProof, caller: NodeId): Promise<void> {
    await this.#store.updateTable("invitations").set({ used_ms: null, used_by: null })
      .where("public_key", "=", proof.invitation).where("used_by", "=", caller).execute();
  }

  async #forgetOld(): Promise<void> {
    const before = Date.now() - KEEP_MS;
    await this.#store.deleteFrom("invitations").where("expires_ms", "<", before).execute();
    for (const [key, deadline] of this.#deadlines) if (deadline < this.#now()) this.#deadlines.delete(key);
  }

  #view(row: { public_key: string; created_ms: number; expires_ms: number; terms: string; used_by: string | null }) {
    const over = row.expires_ms <= Date.now() || this.#now() >= (this.#deadlines.get(row.public_key) ?? Infinity);
    const state = row.used_by !== null ? "accepted" as const : over ? "expired" as const : "open" as const;
    return {
      id: row.public_key.slice(0, 16),
      createdAt: new Date(row.created_ms).toISOString(),
      expiresAt: new Date(row.expires_ms).toISOString(),
      state,
      usedBy: row.used_by,
      terms: JSON.parse(row.terms) as InvitationTerms,
    };
  }
}

/** Proves to the inviter that this node knows the secret, without telling it. */
export function proveInvitation({ inviter, secret }: Invitation, accepter: NodeId): Omit<InvitationProof, "name"> {
  const { publicKey, privateKey } = invitationKeys(secret);
  const proof = sign(null, proofMessage({ inviter, accepter }), privateKey);
  return { invitation: publicKey.toHex(), proof: Uint8Array.from(proof).toHex() };
}

function invitationKeys(secret: Uint8Array) {
  const seed = new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), KEY_INFO, 32));
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return { privateKey, publicKey: Uint8Array.from(spki.subarray(-32)) };
}

function proofMessage({ inviter, accepter }: { inviter: NodeId; accepter: NodeId }): Uint8Array {
  return Uint8Array.of(...new TextEncoder().encode(PROOF_DOMAIN), ...publicKeyOf(inviter), ...publicKeyOf(accepter));
}

function notAccepted(): ArkError {
  return new ArkError(
    "forbidden",
    "This invitation cannot be accepted: it was accepted before, taken back, or its time is over; ask for a new one",
  );
}
