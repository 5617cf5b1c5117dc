import { setTimeout as pause } from "node:timers/promises";
import { type Identity, type NodeId, nodeIdOf, publicKeyOf } from "@ark/node/identity";
import { ArkError, type PairingMessage, type PairingNonce, type PairingState } from "@ark/node/protocol";
import { type Logger, nextBeat } from "@ark/node/telemetry";
import type { MeshClient, PeerAddress } from "@ark/node/transport";
import { AttemptRates } from "./attempt_rates.ts";
import type { IgnoredNodes } from "./ignored_nodes.ts";
import { follow, openPairing } from "./pairing_dialogue.ts";
import { isOpen, type PairingAct } from "./pairing.ts";
import { ignoredSentence, impossible, NO_PAIRING, notNow } from "./pairing_refusal.ts";
import { PAIRING_TIMES, PairingCard, type PairingTimes, type PairingView } from "./pairing_card.ts";
import { commitmentOf, wordsOf } from "./words.ts";

/** What {@linkcode Pairings} needs. */
export interface PairingsOptions {
  /** This node. */
  identity: Identity;
  /** Its label, told to the other node when both owners said that the words match. */
  name: string;
  /** Talks to other nodes. */
  client: Pick<MeshClient, "request">;
  /** Learns the key that answers at an address, and proves it. */
  probe(address: PeerAddress, options: { signal: AbortSignal }): Promise<Uint8Array>;
  /** Where a node was seen. */
  addresses(id: NodeId): PeerAddress[];
  /** Port of this node's mesh listener. */
  ownPort(): number;
  /** Whom the owner wants to hear nothing of. */
  ignored: Pick<IgnoredNodes, "get" | "add">;
  /** Says what happens. */
  logger: Pick<Logger, "info" | "warn">;
  /** Called after each change of a pairing that the owner may see. */
  changed?: (view: PairingView) => void;
  /** Called once when a pairing is over in which this node's owner took part. */
  ended?: (view: PairingView) => void;
  /** Times that differ from {@linkcode PAIRING_TIMES}. */
  times?: Partial<PairingTimes>;
  /** Monotonic time in milliseconds. */
  now?: () => number;
}

/** Who spoke, as the transport proved it. */
export interface PairingCaller {
  /** Its id. */
  id: NodeId;
  /** What counts as one source: an IPv4 address, or an IPv6 /56. */
  source: string;
  /** Where it says that it can be dialled, or null. */
  address: PeerAddress | null;
}

/** Pairings that others began and that can go on: in all, and of one host. */
const MOST_INCOMING = 8;
const MOST_PER_SOURCE = 3;
const MOST_OUTGOING = 8;
const MOST_KEPT = 64;
const WINDOW_MS = 300_000;
const TICK_MS = 500;
/** How long to wait for the pairing that the other node began at the same instant. */
const CROSSING_MS = 1_000;
/** How long to wait for the other node's name. */
const NAME_MS = 2_000;

/**
 * All pairings of this node, at most one that can go on for each key.
 *
 * The words of a pairing never change while it is shown: a second commitment of the same key is refused until the first
 * pairing is over. Each commitment gets one try, each key five in five minutes, each host ten and all of them sixty, and what
 * strangers can keep open is bounded. Where two nodes begin at the same instant, the one with the smaller id goes on.
 */
export class Pairings implements AsyncDisposable {
  readonly #options: PairingsOptions;
  readonly #times: PairingTimes;
  readonly #now: () => number;
  readonly #cards = new Map<string, PairingCard>();
  readonly #reported = new WeakSet<PairingCard>();
  readonly #byKey = new AttemptRates(5, WINDOW_MS);
  readonly #bySource = new AttemptRates(10, WINDOW_MS);
  readonly #inAll = new AttemptRates(60, WINDOW_MS);
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  /** Makes a node without pairings. */
  constructor(options: PairingsOptions) {
    this.#options = options;
    this.#times = { ...PAIRING_TIMES, ...options.times };
    this.#now = options.now ?? (() => performance.now());
  }

  /** What the owner may see: pairings whose words are known or that this node began, the latest first. */
  list(): PairingView[] {
    return [...this.#cards.values()].filter(isVisible).map((card) => card.view()).reverse();
  }

  /** One pairing, or undefined. */
  get(session: string): PairingView | undefined {
    return this.#cards.get(session)?.view();
  }

  /**
   * Begins a pairing with a node that was seen, or with the one that answers at an address, and returns when both know the
   * words. Where one with this node is under way, that one is returned.
   *
   * @throws {ArkError} `bad_request`, `forbidden`, `busy` or `unavailable`, with a sentence for the owner.
   */
  async begin(target: { address: PeerAddress } | { id: NodeId }): Promise<PairingView> {
    const { id, addresses } = await this.#whom(target);
    const [address] = addresses;
    if (id === this.#options.identity.id) {
      throw new ArkError("bad_request", "That is this node itself: name another one");
    }
    const ignored = this.#options.ignored.get(id);
    if (ignored !== undefined) throw new ArkError("forbidden", ignoredSentence(id, ignored.why));
    if (this.#openWith(id) !== undefined) {
      return (await this.#theirs(id, this.#times.openMs) ?? this.#unfinished()).view();
    }
    if (this.#count(({ direction }) => direction === "out") >= MOST_OUTGOING) {
      throw new ArkError("busy", "Too many pairings are under way: finish or cancel one first");
    }
    const card = new PairingCard({
      id,
      direction: "out",
      address: address ?? null,
      times: this.#times,
      now: this.#now,
    });
    this.#add(card);
    const dialogue = { ...this.#options, card, addresses, pollMs: this.#times.pollMs, signal: this.#stop.signal };
    try {
      const words = await openPairing(dialogue);
      card.show(words);
    } catch (error) {
      this.#cards.delete(card.session);
      // The other node may have begun at the same instant; then its pairing is the one that goes on.
      const crossed = error instanceof ArkError && (error.code === "busy" || error.code === "cancelled");
      const theirs = crossed ? await this.#theirs(id, CROSSING_MS) : undefined;
      if (theirs === undefined) throw error;
      return theirs.view();
    }
    this.#changed(card);
    const following = follow({ ...dialogue, changed: () => this.#changed(card) });
    this.#running.add(following);
    following.finally(() => this.#running.delete(following));
    return card.view();
  }

  /**
   * Does what the owner decided.
   *
   * @throws {ArkError} `bad_request` when there is no such pairing or the act is not possible now.
   */
  async decide(session: string, act: Exclude<PairingAct, "approve">): Promise<PairingView> {
    const card = this.#cards.get(session);
    if (card === undefined) throw new ArkError("bad_request", NO_PAIRING);
    if (!card.decide(act)) throw new ArkError("bad_request", impossible(act, card.view()));
    if (act === "different") await this.#block(card.id);
    this.#changed(card);
    return card.view();
  }

  /**
   * Puts into effect what the owner chose that the other node may do, and then says so to it.
   *
   * @param admit writes the approval; when it fails, the pairing stands where it stood.
   * @throws {ArkError} `bad_request` when both owners have not said that the words match; what `admit` throws.
   */
  async approve<T>(
    session: string,
    admit: (view: PairingView) => Promise<T>,
  ): Promise<{ view: PairingView; result: T }> {
    const card = this.#cards.get(session);
    if (card?.phase !== "choosing") {
      throw new ArkError("bad_request", card === undefined ? NO_PAIRING : impossible("approve", card.view()));
    }
    // The name is on its way when both owners have said that the words match.
    const until = this.#now() + NAME_MS;
    while (card.view().name === null && card.open && this.#now() < until) await pause(20);
    const result = await admit(card.view());
    card.decide("approve");
    this.#changed(card);
    return { view: card.view(), result };
  }

  /**
   * Answers a message of a node that began a pairing.
   *
   * @throws {ArkError} `busy` for whoever is not taken now, whatever the reason is.
   */
  hear(message: PairingMessage, caller: PairingCaller): PairingNonce | PairingState {
    if (message.type === "commit") return this.#committed(message, caller);
    const card = [...this.#cards.values()].find(({ id, wire, direction }) =>
      id === caller.id && wire === message.session && direction === "in"
    );
    if (card === undefined) return { state: "cancelled" };
    if (message.type === "reveal") this.#revealed(card, Uint8Array.fromHex(message.nonce));
    else if (card.words !== null && card.hear(message)) this.#changed(card);
    return card.state(this.#options.name);
  }

  /** Ends pairings whose time is over. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Where there is none, none can end; one that begins meanwhile has minutes.
      await nextBeat(this.#cards.size === 0 ? 2 * TICK_MS : TICK_MS, { signal });
      this.tick();
    }
  }

  /** Looks at the time once. */
  tick(): void {
    for (const card of this.#cards.values()) {
      if (card.tick()) this.#changed(card);
      if (card.overAt !== null && this.#now() - card.overAt >= this.#times.keepMs) this.#cards.delete(card.session);
      // Nobody but a stranger knows of these.
      if (!card.open && !isVisible(card)) this.#cards.delete(card.session);
    }
  }

  /** Leaves every pairing; the other nodes notice by the silence. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running);
  }

  #committed(
    { session, commitment }: Extract<PairingMessage, { type: "commit" }>,
    caller: PairingCaller,
  ): PairingNonce {
    const { identity, ignored } = this.#options;
    const { id, source } = caller;
    const running = this.#openWith(id);
    if (running?.direction === "in" && running.wire === session && running.commitment === commitment) {
      // The same message once more, because its answer was lost.
      if (running.words === null) return { nonce: running.nonce.toHex() };
    }
    const crossing = running?.direction === "out" && running.words === null && id < identity.id;
    if (id === identity.id || ignored.get(id) !== undefined || (running !== undefined && !crossing)) throw notNow();
    const now = this.#now();
    const rates = [[this.#byKey, id], [this.#bySource, source], [this.#inAll, "all"]] as const;
    if (!rates.every(([rate, name]) => rate.allows(name, now))) throw notNow();
    const incoming = ({ direction }: PairingCard) => direction === "in";
    const ofSource = (card: PairingCard) => incoming(card) && card.source === source;
    if (this.#count(incoming) >= MOST_INCOMING || this.#count(ofSource) >= MOST_PER_SOURCE) throw notNow();
    if (running !== undefined) running.end("failed", "The other node began at the same instant");
    const card = new PairingCard({ ...caller, direction: "in", wire: session, times: this.#times, now: this.#now });
    card.commitment = commitment;
    this.#add(card);
    return { nonce: card.nonce.toHex() };
  }

  #revealed(card: PairingCard, nonce: Uint8Array): void {
    if (card.words !== null || !card.open) return;
    const keys = { begins: publicKeyOf(card.id), answers: this.#options.identity.publicKey };
    if (commitmentOf({ ...keys, beginsNonce: nonce }) !== card.commitment) {
      card.end("failed", "The other node did not reveal what it had committed to");
      return;
    }
    card.show(wordsOf({ ...keys, beginsNonce: nonce, answersNonce: card.nonce }));
    this.#options.logger.info("A node wants to pair: compare the words with 'ark-node peers pair'", { peer: card.id });
    this.#changed(card);
  }

  async #whom(target: { address: PeerAddress } | { id: NodeId }): Promise<{ id: NodeId; addresses: PeerAddress[] }> {
    if ("address" in target) {
      const key = await this.#options.probe(target.address, { signal: this.#stop.signal });
      return { id: nodeIdOf(key), addresses: [target.address] };
    }
    const addresses = this.#options.addresses(target.id);
    if (addresses.length > 0 || this.#openWith(target.id) !== undefined) return { id: target.id, addresses };
    throw new ArkError("unavailable", "That node was not seen here: name where it is, as HOST:PORT");
  }

  /** The pairing with a node that is under way, as soon as its words are known. */
  async #theirs(id: NodeId, withinMs: number): Promise<PairingCard | undefined> {
    const until = this.#now() + withinMs;
    for (;;) {
      const card = this.#openWith(id);
      if (card !== undefined && card.words !== null) return card;
      if (this.#now() >= until || this.#stop.signal.aborted) return undefined;
      await pause(20);
    }
  }

  #unfinished(): never {
    throw new ArkError("unavailable", "The other node began a pairing and did not go on: try again");
  }

  async #block(id: NodeId): Promise<void> {
    const { ignored, logger } = this.#options;
    logger.warn("The words of a pairing differ: someone may be in between, so this key is shut out for a day", {
      peer: id,
    });
    await ignored.add(id, "different").catch(() => {
      logger.warn("That a key is shut out could not be written: it holds until the node is stopped", { peer: id });
    });
  }

  #openWith(id: NodeId): PairingCard | undefined {
    return [...this.#cards.values()].find((card) => card.id === id && card.open);
  }

  #count(which: (card: PairingCard) => boolean): number {
    return [...this.#cards.values()].filter((card) => card.open && which(card)).length;
  }

  #add(card: PairingCard): void {
    this.#cards.set(card.session, card);
    const over = [...this.#cards.values()].filter(({ open }) => !open);
    for (const old of over.slice(0, Math.max(0, this.#cards.size - MOST_KEPT))) this.#cards.delete(old.session);
  }

  #changed(card: PairingCard): void {
    if (!isVisible(card)) return;
    const { changed = () => {}, ended = () => {} } = this.#options;
    const view = card.view();
    changed(view);
    if (isOpen(view.phase) || this.#reported.has(card)) return;
    this.#reported.add(card);
    if (card.ownersAct) ended(view);
  }
}

/** What a stranger began is shown when it has kept its commitment. */
function isVisible(card: PairingCard): boolean {
  return card.direction === "out" || card.words !== null;
}
