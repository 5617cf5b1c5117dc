import { setTimeout as pause } from "node:timers/promises";
import type { NodeId } from "@ark/node/identity";
import type { ApprovedPeer } from "@ark/node/peers";
import type { ArkError, ModelRef } from "@ark/node/protocol";
import type { PeerAddress } from "@ark/node/transport";
import { nextBeat } from "@ark/node/telemetry";
import { AwakeClock } from "./awake_clock.ts";
import { OfferFollower } from "./offer_follower.ts";
import { type PeerAnswer, PeerQuestions } from "./peer_question.ts";
import { silentFor } from "./peer_refusal.ts";
import { type PeerNews, PeerRow } from "./peer_row.ts";
import type { PeerTableOptions } from "./peer_table_options.ts";
import { findOffered, type PeerOffering, type PeerView, roomAt, standingOf } from "./peer_view.ts";

/** How often it is looked at who is to be asked, in milliseconds, at least. */
const TICK_MS = 200;
/** How often it is looked while nobody is to be asked before that, in milliseconds: whoever has news wakes the table. */
const IDLE_MS = 1_000;
/** How long a peer is away before it is asked less often, and how much less. */
const AWAY = [{ ms: 300_000, factor: 8 }, { ms: 30_000, factor: 3 }];
/** The shortest time between two questions because a peer asked us, in milliseconds. */
const HEARD_MS = 250;
const PAUSED_BY_US = "You paused it, so it may ask nothing here and is asked nothing";

/**
 * What the approved peers offer us, kept fresh: each is asked once, and then tells by itself what changes, on a stream. A
 * peer that knows no such stream is asked again and again.
 */
export class PeerTable {
  readonly #options: Required<PeerTableOptions>;
  readonly #rows = new Map<NodeId, PeerRow>();
  readonly #tasks = new Set<Promise<unknown>>();
  readonly #questions: PeerQuestions;
  readonly #follower: OfferFollower;
  /** Fires when {@linkcode PeerTable.run} ends; null while it does not run. */
  #running: AbortSignal | null = null;
  #wake: () => void = () => {};

  /** Makes an empty table. */
  constructor(options: PeerTableOptions) {
    const times = { everyMs: 2_000, hurryMs: 500, patienceMs: 1_200, answerMs: 5_000 };
    // A good deal longer than a peer is silent that is well (1.6 s, `OfferStreams`). With two answers waited for after that, on the
    // kept connection and on a new one, nobody who is gone is taken to be there for more than five seconds (R01).
    const silence = { silenceMs: 2_300, hurriedSilenceMs: 900 };
    this.#options = { ...times, ...silence, reached: () => {}, ...options };
    const clock = new AwakeClock();
    this.#questions = new PeerQuestions({ ...this.#options, clock });
    this.#follower = new OfferFollower({
      ...this.#options,
      clock,
      questions: this.#questions,
      whereIs: (id) => this.addresses(id),
      ask: (row, signal) => void this.ask(row.id, signal),
      learnt: (row, news) => this.#settle(row, news),
      ended: (row) => {
        if (!this.mayAsk(row.id)) return;
        row.due = true;
        this.#wake();
      },
    });
  }

  /** Every approved peer with what is known of it. */
  list(): PeerView[] {
    return this.#options.approved().map((peer) => this.#view(peer));
  }

  /** Whether a peer may be sent prompts now: it is approved, and not paused. */
  mayAsk(id: NodeId): boolean {
    return this.#options.approved().some(({ node_id, paused }) => node_id === id && !paused);
  }

  /**
   * Reachable peers that offer a model and take work, each with the model as that peer describes it. Those are among them
   * that have no room now, or are busy with their owner's work.
   */
  offering(model: ModelRef): PeerOffering[] {
    return this.list().flatMap((view) => {
      const takes = view.state === "ready" || view.state === "busy";
      const found = takes ? findOffered(view.offer?.models ?? [], model) : undefined;
      if (found === undefined) return [];
      const { inFlight, offer, peer } = view;
      const full = this.#row(peer.node_id).isFull(found.id);
      return [{ view: { ...view, ...roomAt(offer, { model: found, inFlight, full }) }, model: found }];
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
    if (row.inFlight === 1) this.#follower.paceChanged(row);
    let running = true;
    return {
      [Symbol.dispose]: () => {
        if (!running) return;
        running = false;
        row.inFlight--;
        row.listeners.delete(silent);
        if (row.inFlight === 0) this.#follower.paceChanged(row);
      },
    };
  }

  /** Notes that a request to a peer failed on the way, so that it is not chosen again before it has answered. */
  failed(id: NodeId, reason: string): void {
    const row = this.#row(id);
    this.#settle(row, { state: "unreachable", reason });
    row.due = true;
    this.#wake();
  }

  /**
   * Notes what a peer itself refused a request with. One that is busy counts as full for that model, for as long as it said
   * or until it makes another offer; after everything else what it offers may have changed.
   */
  refused(id: NodeId, { model, error }: { model: ModelRef; error: ArkError }): void {
    const row = this.#row(id);
    if (error.code === "busy") row.refuse(model, error.retryAfterSeconds ?? 1);
    if (row.live) return;
    row.due = true;
    this.#wake();
  }

  /** Notes that a peer asked us: one that did not answer, or took none of our work, may do so now, and is asked soon. */
  heard(id: NodeId): void {
    const row = this.#rows.get(id);
    if (row === undefined || row.offer !== null || performance.now() - row.askedAt < HEARD_MS) return;
    row.due = true;
    this.#wake();
  }

  /** Asks every peer now, instead of at the next turn, that does not tell by itself what it offers. */
  refresh(): void {
    for (const { node_id: id } of this.#options.approved()) this.#row(id).due = true;
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
    const tickMs = Math.min(this.#options.everyMs, this.#options.hurryMs, TICK_MS);
    for (const row of this.#rows.values()) row.due = true;
    this.#running = signal;
    while (!signal.aborted) {
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      const approved = this.#options.approved();
      this.#forgetOthers(new Set(approved.flatMap(({ node_id, paused }) => paused ? [] : node_id)), approved);
      // Nobody waits for a peer that is slow to answer: the others are asked again in their turn.
      const waits = approved.map(({ node_id: id, paused }) =>
        paused ? Infinity : this.#tend(this.#row(id), { signal, tickMs })
      );
      const either = AbortSignal.any([signal, woken.signal]);
      const soonest = Math.max(tickMs, Math.min(IDLE_MS, ...waits));
      if (soonest === IDLE_MS) await nextBeat(IDLE_MS, { signal: either });
      else await pause(soonest, undefined, { signal: either }).catch(() => {});
    }
    this.#running = null;
    this.#wake = () => {};
    await Promise.all(this.#tasks);
  }

  /**
   * Asks a peer whose turn it is, or opens the stream of its offers. Returns in how many milliseconds it must be looked at
   * again: one that tells by itself how it stands need not be.
   */
  #tend(row: PeerRow, { signal, tickMs }: { signal: AbortSignal; tickMs: number }): number {
    const now = performance.now();
    const { everyMs, hurryMs } = this.#options;
    const { due, stream, askedAt, inFlight } = row;
    row.due = false;
    if (stream !== null && row.answers) return Infinity;
    if (!due && row.answers && row.offer !== null && now >= row.streamAfter) {
      this.#task(this.#follower.follow(row, signal));
      return tickMs;
    }
    const away = row.awayAt === null ? 0 : now - row.awayAt;
    const factor = AWAY.find(({ ms }) => away >= ms)?.factor ?? 1;
    // One that was there just now is asked after a moment, and then after ever longer ones.
    const usual = inFlight > 0 ? hurryMs : everyMs * factor;
    const wait = row.awayAt === null ? usual : Math.min(usual, away / 2);
    // A timer may fire a little early.
    const left = wait - tickMs / 8 - (now - askedAt);
    if (due || left <= 0) this.ask(row.id, signal);
    // One that answers may get a request at any moment, and is then asked more often.
    return row.answers || due || left <= 0 ? tickMs : left;
  }

  #begin(row: PeerRow, signal: AbortSignal): Promise<"answered" | "aborted"> {
    const asking = this.#ask(row, signal).finally(() => row.asking = null);
    return row.asking = this.#task(asking);
  }

  #task<T>(task: Promise<T>): Promise<T> {
    const tracked = task.finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
    return tracked;
  }

  /** Returns `answered` where it learnt something, be it that there is no answer. */
  async #ask(row: PeerRow, signal: AbortSignal): Promise<"answered" | "aborted"> {
    const { id } = row;
    const { answerMs, patienceMs: patience, client } = this.#options;
    const addresses = this.addresses(id);
    let since = row.askedAt = performance.now();
    if (addresses.length === 0) {
      const reason = "It was not seen yet: is it running, and does the network let mDNS pass";
      this.#settle(row, { state: "unseen", reason });
      return "answered";
    }
    const kept = row.answers || row.stream !== null;
    const ms = kept ? Math.min(answerMs, Math.max(patience, 3 * (row.roundTripMs ?? 0))) : answerMs;
    let asked = 0;
    // One that says nothing any more on its stream was asked in vain on a kept connection, as it were.
    let answer: PeerAnswer = "late";
    if (!(kept && row.stream?.suspect)) {
      answer = await this.#questions.ask({ id, addresses }, { ms, signal });
      asked += ms;
    }
    if (answer === "late" && kept) {
      // The connection may have died with nobody to say so: then the others that are kept have, too.
      client.closeIdle?.(id);
      since = performance.now();
      answer = await this.#questions.ask({ id, addresses: this.addresses(id) }, { ms, signal });
      asked += ms;
      row.silent = true;
    }
    if (answer === "aborted") return "aborted";
    this.#settle(row, answer === "late" ? silentFor(asked) : this.#newsOf(row, answer));
    row.silent &&= row.state === "unreachable";
    if (row.silent) { for (const tell of [...row.listeners]) tell(since); }
    this.#renewStream(row, since);
    return "answered";
  }

  #newsOf(row: PeerRow, answer: Exclude<PeerAnswer, string>): PeerNews {
    const { address } = answer;
    if (answer.offer === undefined) {
      // A refusal is an answer, but what was offered before is offered no more.
      return { ...answer.refusal, offer: null, ...address === undefined ? {} : { address } };
    }
    this.#options.reached(row.id, answer.address);
    // What it told by itself may be newer than this answer.
    const offer = row.live && row.stream !== null ? row.stream.offer ?? answer.offer : answer.offer;
    return { ...standingOf(offer), offer, address: answer.address, roundTripMs: row.smoothed(answer.tookMs) };
  }

  /** Opens the stream of a peer that answers, and ends that of one that does not, or that says nothing on it. */
  #renewStream(row: PeerRow, since: number): void {
    const { stream } = row;
    const dead = stream !== null && (!row.answers || (stream.suspect && stream.heardAt < since));
    if (dead) stream.stop.abort();
    if (this.#running === null || row.offer === null || !row.answers) return;
    if (stream === null && performance.now() >= row.streamAfter) this.#task(this.#follower.follow(row, this.#running));
  }

  /** A peer that is approved again later begins anew, and not as what it was; one that is paused is not listened to. */
  #forgetOthers(asked: ReadonlySet<NodeId>, approved: readonly ApprovedPeer[]): void {
    const known = new Set(approved.map(({ node_id }) => node_id));
    for (const [id, row] of this.#rows) {
      if (!asked.has(id)) row.stream?.stop.abort();
      if (!known.has(id)) this.#rows.delete(id);
    }
  }

  #settle(row: PeerRow, { offer, ...news }: PeerNews): void {
    const before = row.state;
    Object.assign(row, news);
    if (offer === null || !row.answers) row.offer = null;
    else if (offer !== undefined) row.offered(offer);
    if (before !== row.state || row.since === null) row.since = new Date().toISOString();
    if (before === row.state) return;
    row.awayAt = row.answers ? null : row.awayAt ?? performance.now();
    const fields = { peer: row.id, ...(row.reason === null ? {} : { reason: row.reason }) };
    this.#options.logger.info(
      row.state === "ready" ? "A peer is ready" : `A peer is ${row.state.replace("_", " ")}`,
      fields,
    );
  }

  #view(peer: ApprovedPeer): PeerView {
    const row = this.#row(peer.node_id);
    const { state, reason, since, address, roundTripMs, offer, live, inFlight } = row;
    const room = roomAt(offer, { inFlight, full: false });
    const view = { peer, state, reason, since, address, roundTripMs, offer, live, inFlight, ...room };
    if (!peer.paused) return view;
    const none = roomAt(null, { inFlight, full: false });
    return { ...view, state: "paused", reason: PAUSED_BY_US, offer: null, live: false, ...none };
  }

  #row(id: NodeId): PeerRow {
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = new PeerRow(id);
      this.#rows.set(id, row);
    }
    return row;
  }
}
