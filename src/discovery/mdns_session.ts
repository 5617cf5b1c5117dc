import type { NodeId } from "@ark/node/identity";
import { additionalsFor, answerTo, isConflict, isKnown } from "./answer.ts";
import type { Sighting } from "./discovery.ts";
import { type DnsMessage, type DnsRecord, recordKey } from "./dns_message.ts";
import { type Link, linkOf } from "./link.ts";
import { MDNS_PORT, MdnsSockets } from "./mdns_sockets.ts";
import {
  announcement,
  claimed,
  goodbye,
  OTHER_TTL,
  type OwnNames,
  type OwnRecords,
  ownRecords,
  SERVICE,
} from "./own_records.ts";
import type { Endpoint, OutgoingMessage } from "./packet_codec.ts";
import type { ServiceCache } from "./service_cache.ts";

const PROBES = 3;
const PROBE_GAP_MS = 250;
const ANNOUNCE_GAP_MS = 1_000;
/** Gaps between the questions for neighbours; the last one repeats. */
const QUERY_GAPS_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];
/** What was multicast a moment ago was heard by everybody who asks now (RFC 6762 section 6). */
const REPEAT_GAP_MS = 1_000;
/** A resolver that knows nothing of mDNS must not keep what it cannot hear a goodbye for (RFC 6762 section 6.7). */
const LEGACY_TTL = 10;
const LEGACY_PER_SECOND = 10;
/** By then our own probes and questions must have been heard. */
const CLEAR_AFTER_MS = 4_000;

/** Options of {@linkcode MdnsSession.open}. */
export interface MdnsSessionOptions {
  /** Networks to speak on. */
  links: readonly Link[];
  /** Names to go by. */
  names: OwnNames;
  /** Id of this node. */
  id: NodeId;
  /** Port of its mesh listener. */
  port: number;
  /** Where to keep what is heard. */
  cache: ServiceCache;
  /** Takes what an answer changed. */
  heard(sightings: Sighting[]): void;
}

interface Pending {
  records: Map<string, DnsRecord>;
  /** Who asked, or null for several. */
  source: string | null;
}

/**
 * Announcing and asking on a fixed set of links, from the first probe to the goodbye. When links come or go, or somebody
 * else claims our names, it is closed and another one is opened.
 */
export class MdnsSession implements AsyncDisposable {
  readonly #options: MdnsSessionOptions;
  readonly #sockets: MdnsSockets;
  readonly #own: Map<Link, OwnRecords>;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #pending = new Map<Link, Pending>();
  /** When each record was last multicast on a link. */
  readonly #said = new Map<string, number>();
  readonly #faults = new Map<Link, unknown>();
  readonly #heardOn = new Set<Link>();
  readonly #opened = performance.now();
  #announced = false;
  #conflicting = false;
  #legacy = { second: 0, count: 0 };

  private constructor(sockets: MdnsSockets, options: MdnsSessionOptions) {
    const { names, id, port } = options;
    this.#options = options;
    this.#sockets = sockets;
    this.#own = new Map(sockets.links.map((link) => [link, ownRecords(names, { id, port, link })]));
  }

  /**
   * Joins the links and begins.
   *
   * @throws {Error} with the system's `code` when that is not possible now.
   */
  static async open(options: MdnsSessionOptions): Promise<MdnsSession> {
    let receive = (_message: DnsMessage, _from: Endpoint) => {};
    const sockets = await MdnsSockets.open({
      links: options.links,
      receive: (message, from) => receive(message, from),
    });
    const session = new MdnsSession(sockets, options);
    receive = (message, from) => session.#receive(message, from);
    session.#probe(PROBES);
    session.#after(between(20, 120), () => session.#ask(0));
    return session;
  }

  /** Whether somebody else has one of our names, so that others must be drawn. */
  get conflicting(): boolean {
    return this.#conflicting;
  }

  /** Why nothing can be sent to other machines, or null while it can on one link. */
  get fault(): unknown {
    const faults = this.#widerLinks().map((link) => this.#faults.get(link) ?? null);
    return faults.every((fault) => fault !== null) ? faults[0] : null;
  }

  /**
   * Whether not even our own packets come back, as they do where multicast works; null as long as that is not clear.
   * A firewall does this, or an interface without a network.
   */
  get deaf(): boolean | null {
    if (performance.now() < this.#opened + CLEAR_AFTER_MS) return null;
    return !this.#widerLinks().some((link) => this.#heardOn.has(link));
  }

  /** Asks for what the cache is about to lose. To be called about every second. */
  refresh(now: number): void {
    const questions = this.#options.cache.questions(now);
    for (const link of this.#sockets.links) {
      const ours = questions.filter((each) => each.link.key === link.key).map(({ question }) => question);
      if (ours.length === 0) continue;
      const distinct = [...new Map(ours.map((question) => [`${question.type} ${question.name}`, question])).values()];
      this.#send(link, { questions: distinct, answers: this.#knownAnswers(link, now) });
    }
  }

  /** Takes back on every link what was announced there. */
  async goodbye(): Promise<void> {
    if (!this.#announced) return;
    this.#silence();
    await Promise.all([...this.#own].map(([link, own]) => this.#send(link, { response: true, answers: goodbye(own) })));
  }

  /** Closes the sockets; without a goodbye before, the network finds out by and by. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#silence();
    await this.#sockets[Symbol.asyncDispose]();
  }

  #probe(left: number): void {
    const { instance, host } = this.#options.names;
    const questions = [instance, host].map((name) => ({ name, type: "ANY", unicast: false }));
    this.#after(left === PROBES ? between(0, PROBE_GAP_MS) : PROBE_GAP_MS, () => {
      if (left === 0) return this.#announce(2);
      for (const [link, own] of this.#own) this.#send(link, { questions, authorities: claimed(own) });
      this.#probe(left - 1);
    });
  }

  #announce(left: number): void {
    if (left === 0) return;
    this.#announced = true;
    for (const [link, own] of this.#own) this.#say(link, announcement(own), []);
    this.#after(ANNOUNCE_GAP_MS, () => this.#announce(left - 1));
  }

  #ask(turn: number): void {
    const now = performance.now();
    const questions = [{ name: SERVICE, type: "PTR", unicast: false }];
    for (const link of this.#sockets.links) this.#send(link, { questions, answers: this.#knownAnswers(link, now) });
    this.#after(QUERY_GAPS_MS[Math.min(turn, QUERY_GAPS_MS.length - 1)] ?? 0, () => this.#ask(turn + 1));
  }

  #knownAnswers(link: Link, now: number): DnsRecord[] {
    const pointer = this.#own.get(link)?.pointer;
    // We hear our own questions: our own answer among the known ones keeps us from answering ourselves.
    const ours = pointer === undefined || !this.#announced ? [] : [{ ...pointer, ttl: OTHER_TTL }];
    return [...ours, ...this.#options.cache.knownAnswers(link, now)];
  }

  #receive(message: DnsMessage, from: Endpoint): void {
    const link = linkOf(from.address, this.#sockets.links);
    if (link === undefined) return;
    if (link.own.has(from.address)) this.#heardOn.add(link);
    if (!message.response) return this.#reply(message, from, { link });
    if (from.port !== MDNS_PORT) return;
    // What comes from an address of ours is what we said ourselves, or another node on this machine with other names.
    if (!link.own.has(from.address) && isConflict(message, [...this.#own.values()])) this.#conflicting = true;
    const { cache, names, heard } = this.#options;
    heard(cache.observe(message, { source: from.address, link }, { own: names, now: performance.now() }));
  }

  #reply(message: DnsMessage, from: Endpoint, { link }: { link: Link }): void {
    const own = this.#own.get(link);
    if (own === undefined || !this.#announced) return;
    const pending = this.#pending.get(link);
    if (message.questions.length === 0 && pending?.source === from.address) {
      for (const [key, record] of pending.records) if (isKnown(record, message.answers)) pending.records.delete(key);
    }
    const answer = answerTo(message, own);
    if (answer === null) return;
    if (from.port !== MDNS_PORT) return this.#replyToLegacy(message, answer.records, { from, link, own });
    const now = performance.now();
    const fresh = (record: DnsRecord) => now - this.#saidAt(link, record) < record.ttl * 1_000 / 4;
    if (answer.unicast && answer.records.every(fresh)) {
      const additionals = additionalsFor(answer.records, own);
      this.#send(link, { response: true, answers: answer.records, additionals }, from);
      return;
    }
    if (pending !== undefined) {
      for (const record of answer.records) pending.records.set(recordKey(record), record);
      if (pending.source !== from.address) pending.source = null;
      return;
    }
    const records = new Map(answer.records.map((record) => [recordKey(record), record]));
    this.#pending.set(link, { records, source: from.address });
    this.#after(between(...answer.delayMs), () => {
      this.#pending.delete(link);
      const due = performance.now() - REPEAT_GAP_MS;
      const answers = [...records.values()].filter((record) => this.#saidAt(link, record) <= due);
      if (answers.length > 0) this.#say(link, answers, additionalsFor(answers, own));
    });
  }

  #replyToLegacy(
    message: DnsMessage,
    records: readonly DnsRecord[],
    { from, link, own }: { from: Endpoint; link: Link; own: OwnRecords },
  ): void {
    const second = Math.floor(performance.now() / 1_000);
    if (this.#legacy.second !== second) this.#legacy = { second, count: 0 };
    if (++this.#legacy.count > LEGACY_PER_SECOND) return;
    const plain = (record: DnsRecord) => ({ ...record, ttl: Math.min(record.ttl, LEGACY_TTL), flush: false });
    this.#send(link, {
      response: true,
      id: message.id,
      questions: message.questions,
      answers: records.map(plain),
      additionals: additionalsFor(records, own).map(plain),
    }, from);
  }

  #say(link: Link, answers: DnsRecord[], additionals: DnsRecord[]): void {
    const now = performance.now();
    for (const record of [...answers, ...additionals]) this.#said.set(`${link.key} ${recordKey(record)}`, now);
    this.#send(link, { response: true, answers, additionals });
  }

  #saidAt(link: Link, record: DnsRecord): number {
    return this.#said.get(`${link.key} ${recordKey(record)}`) ?? -Infinity;
  }

  async #send(link: Link, message: OutgoingMessage, to?: Endpoint): Promise<void> {
    try {
      await this.#sockets.send(link, message, to);
      this.#faults.delete(link);
    } catch (error) {
      // A link that is just going down says so here; that nothing can be sent anywhere is told by `fault`.
      if (to === undefined) this.#faults.set(link, error);
    }
  }

  #widerLinks(): Link[] {
    const { links } = this.#sockets;
    const wider = links.filter((link) => !link.loopback);
    return wider.length > 0 ? wider : links;
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #silence(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

function between(least: number, most: number): number {
  return least + Math.random() * (most - least);
}
