import { setTimeout as pause } from "node:timers/promises";
import type { NodeId } from "@ark/node/identity";
import type { ApprovedPeer } from "@ark/node/peers";
import {
  ArkError,
  decodeOffer,
  decodePeerError,
  type ModelRef,
  type Offer,
  type OfferedModel,
  toArkError,
} from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { MeshClient, PeerAddress } from "@ark/node/transport";

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
 * | `draining` | it answers and takes no work of ours now |
 * | `paused` | our owner paused it: it is asked nothing |
 */
export type PeerState = "unseen" | "unreachable" | "not_approved" | "revoked" | "ready" | "draining" | "paused";

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
  /** Requests of ours that it is answering. */
  readonly inFlight: number;
}

/** Options of {@linkcode PeerTable}. */
export interface PeerTableOptions {
  /** Lists the approved peers. */
  approved(): readonly ApprovedPeer[];
  /** Where a node may be dialled. */
  addresses(id: NodeId): readonly PeerAddress[];
  /** Asks a peer, and lets go of kept connections to one that does not answer on them. */
  client: Pick<MeshClient, "request"> & Partial<Pick<MeshClient, "closeIdle">>;
  /** Port of our own mesh listener, told to peers so that they can dial us; 0 for none. */
  ownPort(): number;
  /** Says when a peer comes and goes. */
  logger: Logger;
  /** Told where a peer answered as itself, each time that it does. */
  reached?: (id: NodeId, address: PeerAddress) => void;
  /** Time between two questions to a peer, in milliseconds. @default {2000} */
  everyMs?: number;
  /** The same while it answers a request of ours. @default {500} */
  hurryMs?: number;
  /**
   * How long a peer that was there just now may take on a kept connection, in milliseconds, or three round trips where
   * that is longer; then it gets as long once more on a new connection. @default {1200}
   */
  patienceMs?: number;
  /** How long a peer may take to say what it offers, in milliseconds. @default {5000} */
  answerMs?: number;
}

interface Row {
  readonly id: NodeId;
  state: PeerState;
  reason: string | null;
  since: string | null;
  address: PeerAddress | null;
  roundTripMs: number | null;
  offer: Offer | null;
  inFlight: number;
  /** Monotonic time of the last question, in milliseconds. */
  askedAt: number;
  /** Whether it stopped to answer on a connection that nobody closed, and is unreachable since. */
  silent: boolean;
  /** Who is to be told when the peer does not answer questions any more. */
  readonly listeners: Set<(since: number) => void>;
  asking: Promise<"answered" | "aborted"> | null;
}

const OFFER_BYTES = 4 << 20;
const PAUSED_BY_US = "You paused it, so it may ask nothing here and is asked nothing";

/** What the approved peers offer us, kept fresh. */
export class PeerTable {
  readonly #options: Required<PeerTableOptions>;
  readonly #rows = new Map<NodeId, Row>();
  readonly #asking = new Set<Promise<unknown>>();
  #wake: () => void = () => {};

  /** Makes an empty table. */
  constructor(options: PeerTableOptions) {
    const defaults = { everyMs: 2_000, hurryMs: 500, patienceMs: 1_200, answerMs: 5_000 };
    this.#options = { ...defaults, reached: () => {}, ...options };
  }

  /** Every approved peer with what is known of it. */
  list(): PeerView[] {
    return this.#options.approved().map((peer) => {
      const { state, reason, since, address, roundTripMs, offer, inFlight } = this.#row(peer.node_id);
      const view = { peer, state, reason, since, address, roundTripMs, offer, inFlight };
      return peer.paused ? { ...view, state: "paused", reason: PAUSED_BY_US, offer: null } : view;
    });
  }

  /** Whether a peer may be sent prompts now: it is approved, and not paused. */
  mayAsk(id: NodeId): boolean {
    return this.#options.approved().some(({ node_id, paused }) => node_id === id && !paused);
  }

  /** Reachable peers that offer a model, each with the model as that peer describes it. */
  offering(model: ModelRef): { view: PeerView; model: OfferedModel }[] {
    return this.list().flatMap((view) => {
      const found = view.state === "ready" ? findOffered(view.offer?.models ?? [], model) : undefined;
      return found === undefined ? [] : [{ view, model: found }];
    });
  }

  /** Where a peer may be dialled: where it answered last comes first. */
  addresses(id: NodeId): PeerAddress[] {
    const last = this.#rows.get(id)?.address ?? null;
    const known = this.#options.addresses(id);
    if (last === null) return [...known];
    return [last, ...known.filter((one) => one.hostname !== last.hostname || one.port !== last.port)];
  }

  /**
   * Counts a request to a peer as running until the result is disposed. Meanwhile `silent` is called whenever the peer,
   * having been asked in vain on a kept connection, was asked in vain on a new one, with the monotonic time at which that
   * began: whoever has heard nothing from it since then either need not wait any longer.
   */
  begin(id: NodeId, silent: (since: number) => void = () => {}): Disposable {
    const row = this.#row(id);
    row.inFlight++;
    row.listeners.add(silent);
    let running = true;
    return {
      [Symbol.dispose]() {
        if (running) row.inFlight--;
        running = false;
        row.listeners.delete(silent);
      },
    };
  }

  /** Notes that a request to a peer failed on the way, so that it is not chosen again before it has answered. */
  failed(id: NodeId, reason: string): void {
    this.#settle(this.#row(id), { state: "unreachable", reason });
    this.refresh();
  }

  /** Asks every peer now instead of at the next turn. */
  refresh(): void {
    this.#wake();
  }

  /**
   * Asks one peer now and waits for what it says. While a question to it is on its way there is no second one: then this
   * waits for that. Never rejects; it returns early when the signal fires.
   */
  async ask(id: NodeId, signal: AbortSignal): Promise<void> {
    const row = this.#row(id);
    const aborted = Promise.withResolvers<"aborted">();
    const onAbort = () => aborted.resolve("aborted");
    signal.addEventListener("abort", onAbort, { once: true });
    let outcome: "answered" | "aborted" = "aborted";
    // A question that ended because whoever began it gave up says nothing to the others who waited for it.
    while (outcome === "aborted" && !signal.aborted) {
      outcome = await Promise.race([row.asking ?? this.#begin(row, signal), aborted.promise]);
    }
    signal.removeEventListener("abort", onAbort);
  }

  /** Keeps the table fresh until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { everyMs, hurryMs } = this.#options;
    const tickMs = Math.min(everyMs, hurryMs);
    for (let everyone = true; !signal.aborted;) {
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      const approved = this.#options.approved();
      this.#forgetOthers(approved.map(({ node_id }) => node_id));
      // Nobody waits for a peer that is slow to answer: the others are asked again in their turn.
      for (const { node_id: id, paused } of approved) {
        if (paused) continue;
        const { inFlight, askedAt } = this.#row(id);
        const wait = inFlight > 0 ? hurryMs : everyMs;
        // A timer may fire a little early.
        if (everyone || performance.now() - askedAt >= wait - tickMs / 8) this.ask(id, signal);
      }
      const either = AbortSignal.any([signal, woken.signal]);
      await pause(tickMs, undefined, { signal: either }).catch(() => {});
      everyone = woken.signal.aborted;
    }
    await Promise.all(this.#asking);
  }

  #begin(row: Row, signal: AbortSignal): Promise<"answered" | "aborted"> {
    const asking = this.#ask(row, signal).finally(() => {
      row.asking = null;
      this.#asking.delete(asking);
    });
    this.#asking.add(asking);
    return row.asking = asking;
  }

  /** Returns `answered` where it learnt something, be it that there is no answer. */
  async #ask(row: Row, signal: AbortSignal): Promise<"answered" | "aborted"> {
    const { id } = row;
    const { answerMs } = this.#options;
    const addresses = this.addresses(id);
    if (addresses.length === 0) {
      const reason = "It was not seen yet: is it running, and does the network let mDNS pass";
      this.#settle(row, { state: "unseen", reason });
      return "answered";
    }
    row.askedAt = performance.now();
    const kept = row.state === "ready" || row.state === "draining";
    const patienceMs = kept
      ? Math.min(answerMs, Math.max(this.#options.patienceMs, 3 * (row.roundTripMs ?? 0)))
      : answerMs;
    let since = row.askedAt;
    let news = await this.#attempt({ id, addresses }, { ms: patienceMs, signal });
    if (news === "late" && kept) {
      // The connection may have died with nobody to say so: then the others that are kept have, too.
      this.#options.client.closeIdle?.(id);
      since = performance.now();
      news = await this.#attempt({ id, addresses: this.addresses(id) }, { ms: patienceMs, signal });
      row.silent = true;
    }
    if (news === "aborted") return "aborted";
    this.#settle(row, news === "late" ? silentFor(kept ? 2 * patienceMs : patienceMs) : news);
    row.silent &&= row.state === "unreachable";
    if (row.silent) { for (const tell of [...row.listeners]) tell(since); }
    return "answered";
  }

  /** Asks once. Never rejects: a failure is news, too. */
  async #attempt(
    to: { id: NodeId; addresses: PeerAddress[] },
    { ms, signal }: { ms: number; signal: AbortSignal },
  ): Promise<Partial<Omit<Row, "id">> | "aborted" | "late"> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ms);
    try {
      return await this.#question(to, AbortSignal.any([signal, late.signal]));
    } catch (error) {
      if (signal.aborted) return "aborted";
      if (late.signal.aborted) return "late";
      return refusalOf(error) ?? { state: "unreachable", reason: toArkError(error).message };
    } finally {
      clearTimeout(timer);
    }
  }

  async #question(
    to: { id: NodeId; addresses: PeerAddress[] },
    signal: AbortSignal,
  ): Promise<Partial<Omit<Row, "id">>> {
    const path = `/ark/v1/offer?port=${this.#options.ownPort()}`;
    const began = performance.now();
    const call = { method: "GET", path, deadlineMs: this.#options.answerMs, signal };
    const { status, body, address } = await this.#options.client.request(to, call);
    const took = performance.now() - began;
    const said = await readJson(body, OFFER_BYTES);
    if (status !== 200) return { ...refusal(status, said), address };
    const offer = decodeOffer(said);
    this.#options.reached(to.id, address);
    const before = this.#rows.get(to.id)?.roundTripMs ?? took;
    return {
      state: offer.ready ? "ready" : "draining",
      reason: offer.ready ? null : "It takes no work now",
      address,
      offer,
      roundTripMs: before * 0.8 + took * 0.2,
    };
  }

  /** A peer that is approved again later begins anew, and not as what it was. */
  #forgetOthers(approved: readonly NodeId[]): void {
    for (const id of this.#rows.keys()) {
      if (!approved.includes(id)) this.#rows.delete(id);
    }
  }

  #settle(row: Row, news: Partial<Omit<Row, "id">>): void {
    const before = row.state;
    Object.assign(row, news);
    if (row.state !== "ready" && row.state !== "draining") row.offer = null;
    if (before !== row.state || row.since === null) row.since = new Date().toISOString();
    if (before === row.state) return;
    const fields = { peer: row.id, ...(row.reason === null ? {} : { reason: row.reason }) };
    this.#options.logger.info(
      row.state === "ready" ? "A peer is ready" : `A peer is ${row.state.replace("_", " ")}`,
      fields,
    );
  }

  #row(id: NodeId): Row {
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = {
        id,
        state: "unseen",
        reason: null,
        since: null,
        address: null,
        roundTripMs: null,
        offer: null,
        inFlight: 0,
        askedAt: -Infinity,
        silent: false,
        listeners: new Set(),
        asking: null,
      };
      this.#rows.set(id, row);
    }
    return row;
  }
}

function silentFor(ms: number): Pick<Row, "state" | "reason"> {
  return { state: "unreachable", reason: `It did not answer within ${Math.round(ms)} ms` };
}

function refusal(status: number, body: unknown): Pick<Row, "state" | "reason"> & { offer?: null } {
  const code = (body as { error?: { code?: unknown } } | null)?.error?.code;
  if (code === "ark_revoked") return { state: "revoked", reason: "Its owner took our approval back" };
  if (code === "ark_forbidden") {
    return { state: "draining", reason: `It answered: ${decodePeerError(body).message}`, offer: null };
  }
  if (status === 401) return { state: "not_approved", reason: "Its owner has not approved this node yet" };
  return { state: "unreachable", reason: `It answered with status ${status}` };
}

/** A refusal may also arrive as an error: answers of one who does not know us carry no signature. */
function refusalOf(error: unknown): Pick<Row, "state" | "reason"> | null {
  if (!(error instanceof ArkError)) return null;
  if (error.code === "unauthenticated") return refusal(401, null);
  if (error.code === "revoked") return refusal(403, { error: { code: "ark_revoked" } });
  return null;
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

/** Reads a short JSON body of a peer. */
export async function readJson(body: ReadableStream<Uint8Array>, limit: number): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw new ArkError("unavailable", "The peer sent more than this answer may hold");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(await new Blob(chunks as BlobPart[]).text());
  } catch (error) {
    throw new ArkError("unavailable", "The peer sent an answer that is not JSON", { cause: error });
  }
}
