import type { ApprovedPeer } from "@ark/node/peers";
import type { ModelRef, Offer, OfferedModel } from "@ark/node/protocol";
import type { PeerAddress } from "@ark/node/transport";

/**
 * How an approved peer stands now.
 *
 * | state | meaning |
 * |---|---|
 * | `unseen` | no address is known yet |
 * | `unreachable` | none of its addresses answers as that node |
 * | `not_approved` | it answers, but its owner has not approved us |
 * | `revoked` | its owner took our approval back |
 * | `ready` | it answers and takes work |
 * | `busy` | it takes work, which waits until its owner's own is done |
 * | `draining` | it answers and takes no work of ours now |
 * | `yielding` | it answers and takes no work: its owner needs the machine, or shares nothing now |
 * | `thrashing` | it answers and takes no work: it has too little memory |
 * | `paused` | our owner paused it: it is asked nothing |
 */
export type PeerState = typeof PEER_STATES[number];

/** All of {@linkcode PeerState}. */
export const PEER_STATES = [
  "ready",
  "busy",
  "draining",
  "yielding",
  "thrashing",
  "unreachable",
  "unseen",
  "not_approved",
  "revoked",
  "paused",
] as const;

/** States in which a peer answers as itself and knows us. */
export const ANSWERING: ReadonlySet<PeerState> = new Set(["ready", "busy", "draining", "yielding", "thrashing"]);

/** What is known of an approved peer. */
export interface PeerView {
  /** Its entry in the book. */
  readonly peer: ApprovedPeer;
  /** How it stands. */
  readonly state: PeerState;
  /** Why, as a sentence, where it is not `ready`. */
  readonly reason: string | null;
  /** Since when it stands so, RFC 3339; null where it was not asked yet. */
  readonly since: string | null;
  /** Where it answered last. */
  readonly address: PeerAddress | null;
  /** Round trip of a signed request in milliseconds (smoothed), or null. */
  readonly roundTripMs: number | null;
  /** What it offers to us, or null. */
  readonly offer: Offer | null;
  /** Whether it tells us by itself what changes, as it happens. */
  readonly live: boolean;
  /** Requests of ours that it is answering, or about to. */
  readonly inFlight: number;
  /** Requests that it answers at once for us, as it claims. */
  readonly slots: number;
  /**
   * Requests of ours that it would begin at once: what it claims, less those that it could not know of when it said so. 0
   * where it refused one as busy, for as long as it said, or until it makes another offer.
   */
  readonly freeSlots: number;
  /** Requests that wait there, whoever sent them, as it claims. */
  readonly queued: number;
}

/** A peer and one of its models, as {@linkcode PeerTable.offering} finds them. */
export interface PeerOffering {
  /** The peer; `slots`, `freeSlots` and `queued` are those of this model. */
  readonly view: PeerView;
  /** The model as the peer describes it, with the speeds that it measured. */
  readonly model: OfferedModel;
}

/** How much room there is at a peer for us. */
export type PeerRoom = Pick<PeerView, "slots" | "freeSlots" | "queued">;

/** What an offer comes to, together with what we know ourselves. Pure. */
export function roomAt(
  offer: Offer | null,
  { model, inFlight, full }: { model?: OfferedModel; inFlight: number; full: boolean },
): PeerRoom {
  if (offer === null) return { slots: 0, freeSlots: 0, queued: 0 };
  const { max_concurrent_requests: most, yours = inFlight } = offer;
  const slots = Math.min(most, model?.slots ?? most);
  const queued = (model === undefined ? offer.queued : model.queued) ?? 0;
  const claimed = (model === undefined ? offer.free_slots : model.free_slots) ?? slots - yours;
  // What has ended since leaves its slot to whoever waits there.
  const since = queued > 0 ? Math.min(0, yours - inFlight) : yours - inFlight;
  const freeSlots = full ? 0 : Math.max(0, Math.min(claimed + since, most - inFlight));
  return { slots, freeSlots, queued };
}

/** How a peer stands that makes an offer, and why. */
export function standingOf({ ready, state }: Offer): { state: PeerState; reason: string | null } {
  if (state === "thrashing") return { state, reason: "It has too little memory for the work of others now" };
  if (state === "yielding") {
    return { state, reason: "Its owner needs the machine now, or shares nothing at this time" };
  }
  if (!ready) return { state: "draining", reason: "It takes no work now" };
  if (state === "busy") return { state, reason: "It is busy with its owner's work; ours waits until that is done" };
  return { state: "ready", reason: null };
}

/** Finds a model in an offer as a person may write it: whole id, or the name alone when only one has it. */
export function findOffered(models: readonly OfferedModel[], ref: ModelRef): OfferedModel | undefined {
  const wanted = ref.toLowerCase();
  const exact = models.find((model) => model.id.toLowerCase() === wanted);
  if (exact !== undefined) return exact;
  const name = wanted.endsWith(":latest") ? wanted.slice(0, -":latest".length) : wanted;
  if (name.includes(":")) return undefined;
  const named = models.filter((model) => model.id.toLowerCase().split(":")[0] === name);
  return named.length === 1 ? named[0] : undefined;
}
