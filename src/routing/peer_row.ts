import type { NodeId } from "@ark/node/identity";
import type { ModelRef, Offer } from "@ark/node/protocol";
import type { PeerAddress } from "@ark/node/transport";
import type { Wait } from "./awake_clock.ts";
import { ANSWERING, findOffered, type PeerState } from "./peer_view.ts";

/** What is learnt of a peer at once. */
export type PeerNews = Partial<Pick<PeerRow, "state" | "reason" | "address" | "roundTripMs" | "offer">>;

/** A stream on which a peer tells what it offers. */
export interface LiveOffers {
  /** Ends it. */
  readonly stop: AbortController;
  /** Runs out when nothing was heard on it for too long. */
  wait: Wait;
  /** Its last offer; null before the first. */
  offer: Offer | null;
  /** Monotonic time at which something was heard on it last, in milliseconds. */
  heardAt: number;
  /** Whether it has been silent for too long. */
  suspect: boolean;
}

/** How long no other stream is opened, in milliseconds: at first after one that broke, and at most. */
const AGAIN_MS = { least: 250, most: 30_000 };
/** The longest that a refusal of a peer counts, in milliseconds. */
const LONGEST_FULL_MS = 600_000;
/** Refusals that are remembered of one peer. */
const MOST_FULL = 64;

/** What a `PeerTable` remembers of one peer. */
export class PeerRow {
  /** Who it is. */
  readonly id: NodeId;
  /** How it stands. */
  state: PeerState = "unseen";
  /** Why, as a sentence. */
  reason: string | null = null;
  /** Since when, RFC 3339. */
  since: string | null = null;
  /** Where it answered last. */
  address: PeerAddress | null = null;
  /** Smoothed round trip in milliseconds. */
  roundTripMs: number | null = null;
  /** What it offers. */
  offer: Offer | null = null;
  /** Since when it does not answer, in monotonic milliseconds; null while it does. */
  awayAt: number | null = null;
  /** Requests of ours to it that run. */
  inFlight = 0;
  /** Monotonic time of the last question, in milliseconds. */
  askedAt = -Infinity;
  /** Whether it is to be asked at the next occasion. */
  due = true;
  /** Whether it stopped to answer on a connection that nobody closed, and is unreachable since. */
  silent = false;
  /** Who is to be told when the peer does not answer questions any more. */
  readonly listeners = new Set<(since: number) => void>();
  /** The question that is on its way. */
  asking: Promise<"answered" | "aborted"> | null = null;
  /** The stream of its offers. */
  stream: LiveOffers | null = null;
  /** Monotonic time before which no stream is opened, in milliseconds. */
  streamAfter = 0;
  #pauseMs = AGAIN_MS.least;
  /** Until when a model counts as full there, in monotonic milliseconds. */
  readonly #full = new Map<string, number>();

  /** Makes a row of a peer of which nothing is known. */
  constructor(id: NodeId) {
    this.id = id;
  }

  /** Whether it answers as itself. */
  get answers(): boolean {
    return ANSWERING.has(this.state);
  }

  /** Whether it tells us by itself what changes. */
  get live(): boolean {
    return this.stream !== null && this.stream.offer !== null && !this.stream.suspect;
  }

  /** Smooths a round trip: one slow answer is not all that counts, and a fast one shows how near it is. */
  smoothed(tookMs: number): number {
    return this.roundTripMs === null ? tookMs : Math.min(tookMs, this.roundTripMs * 0.8 + tookMs * 0.2);
  }

  /** Notes how a stream of it ended: the next one is opened later each time, unless it lived for a while. */
  streamEnded(how: "lived" | "broke" | "abused" | "unknown"): void {
    if (how === "lived") this.#pauseMs = AGAIN_MS.least;
    const pauseMs = how === "abused" || how === "unknown" ? AGAIN_MS.most : this.#pauseMs;
    this.streamAfter = performance.now() + pauseMs;
    this.#pauseMs = Math.min(AGAIN_MS.most, this.#pauseMs * 2);
  }

  /** Notes that it has no room for a model now. */
  refuse(model: ModelRef, seconds: number): void {
    const id = findOffered(this.offer?.models ?? [], model)?.id;
    if (id === undefined) return;
    const [oldest] = this.#full.keys();
    if (this.#full.size >= MOST_FULL && oldest !== undefined) this.#full.delete(oldest);
    this.#full.set(id, performance.now() + Math.min(LONGEST_FULL_MS, Math.max(0, seconds) * 1_000));
  }

  /** Whether it refused a model, and said that it has no room yet. */
  isFull(model: string): boolean {
    return performance.now() < (this.#full.get(model) ?? -Infinity);
  }

  /** Takes a new offer of it, which says more about its room than what it said before. */
  offered(offer: Offer): void {
    this.offer = offer;
    if (offer.free_slots !== undefined) this.#full.clear();
  }
}
