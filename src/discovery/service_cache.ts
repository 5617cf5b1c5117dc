import { isDialable, isDialablePort } from "./dialable.ts";
import { REPEAT_MS, type Sighting } from "./discovery.ts";
import type { DnsMessage, DnsQuestion, DnsRecord } from "./dns_message.ts";
import type { Link } from "./link.ts";
import { OTHER_TTL, type OwnNames, SERVICE } from "./own_records.ts";

/** Limits of trust.md section 5. */
const MOST_SERVICES = 64;
const MOST_PER_SOURCE = 3;
const MOST_ADDRESSES = 8;
/** A shorter life would let anybody make us ask for it again every second. */
const LEAST_TTL = 10;
/** Known answers that fit into one packet together with the question. */
const MOST_KNOWN = 12;
/** How often what is missing of a service is asked for, after 1, 2 and 4 s, before it is forgotten. */
const MOST_LOOKUPS = 3;
/** Which parts of its life a record has behind it when it is asked for again (RFC 6762 section 5.2). */
const REFRESH_AT = [0.80, 0.85, 0.90, 0.95];
/** Records of one announcement may come in two packets. */
const FLUSH_GRACE_MS = 1_000;

/** Where a message came from. */
export interface Origin {
  /** Address of the sender. */
  source: string;
  /** Link that it came by. */
  link: Link;
}

interface Lease {
  since: number;
  lifeMs: number;
  asked: number;
}

interface Service {
  readonly instance: string;
  readonly origin: Origin;
  pointer: Lease;
  target: (Lease & { host: string; port: number }) | null;
  text: (Lease & { shortId: string | null }) | null;
  readonly addresses: Map<string, Lease & { type: "A" | "AAAA" }>;
  lookups: number;
  lookupAt: number;
}

interface Told {
  address: Sighting["address"];
  shortId: string | null;
  at: number;
}

/**
 * What is known of the services of others. Each sender has its own entries, so what one says about a service changes
 * nothing that another said. Pure but for its own state: it reads no clock and sends nothing.
 *
 * All times are monotonic milliseconds.
 */
export class ServiceCache {
  readonly #services = new Map<string, Service>();
  readonly #told = new Map<string, Told>();
  readonly #ownPort: number;

  /** Makes an empty cache of a node whose mesh listener has this port, and which is not to find itself. */
  constructor(ownPort: number) {
    this.#ownPort = ownPort;
  }

  /** Services that are known, complete or not. */
  get size(): number {
    return this.#services.size;
  }

  /** Takes in an answer and says what it changes. */
  observe(message: DnsMessage, origin: Origin, { own, now }: { own: OwnNames; now: number }): Sighting[] {
    if (!message.response) return [];
    const records = [...message.answers, ...message.additionals];
    for (const record of records) {
      if (record.type === "PTR" && record.name === SERVICE && record.data !== own.instance) {
        this.#observePointer(record, origin, now);
      }
    }
    for (const service of this.#servicesFrom(origin.source)) {
      for (const record of records) if (record.name === service.instance) observeAbout(service, record, now);
      const host = service.target?.host;
      observeAddresses(service, records.filter((record) => record.name === host), now);
    }
    return this.sweep(now);
  }

  /** Forgets what is past its time, and says what there is to say: what is new, gone, or due for repetition. */
  sweep(now: number): Sighting[] {
    for (const [key, service] of this.#services) {
      for (const [address, lease] of service.addresses) if (isOver(lease, now)) service.addresses.delete(address);
      if (service.target !== null && isOver(service.target, now)) service.target = null;
      if (service.text !== null && isOver(service.text, now)) service.text = null;
      const complete = isComplete(service);
      if (complete) service.lookups = 0;
      const lost = !complete && service.lookups >= MOST_LOOKUPS && now >= service.lookupAt;
      if (lost || isOver(service.pointer, now)) this.#services.delete(key);
    }
    return this.#news(now);
  }

  /** Forgets everything that was heard on links which are no more. */
  keepLinks(links: readonly Link[], now: number): Sighting[] {
    for (const [key, { origin }] of this.#services) {
      if (!links.some((link) => link.key === origin.link.key)) this.#services.delete(key);
    }
    return this.#news(now);
  }

  /** What to ask now: what is missing, and what will soon be past its time. Counts as asked. */
  questions(now: number): { link: Link; question: DnsQuestion }[] {
    const questions: { link: Link; question: DnsQuestion }[] = [];
    for (const { origin: { link }, ...service } of this.#services.values()) {
      const ask = (name: string, type: string) => questions.push({ link, question: { name, type, unicast: false } });
      if (isDue(service.pointer, now)) ask(SERVICE, "PTR");
      if (service.target !== null && isDue(service.target, now)) ask(service.instance, "SRV");
      if (service.text !== null && isDue(service.text, now)) ask(service.instance, "TXT");
      const due = [...service.addresses.values()].filter((lease) => isDue(lease, now)).map(({ type }) => type);
      for (const type of new Set(due)) if (service.target !== null) ask(service.target.host, type);
    }
    for (const service of this.#services.values()) {
      if (isComplete(service) || now < service.lookupAt || service.lookups >= MOST_LOOKUPS) continue;
      service.lookupAt = now + 1_000 * 2 ** service.lookups++;
      const { origin: { link }, instance, target } = service;
      const missing = target === null
        ? [[instance, "SRV"], [instance, "TXT"]]
        : [[target.host, "A"], [target.host, "AAAA"]];
      for (const [name = "", type = ""] of missing) questions.push({ link, question: { name, type, unicast: false } });
    }
    return questions;
  }

  /** Answers that need not be given on a link, since they are known and have more than half of their time left. */
  knownAnswers(link: Link, now: number): DnsRecord[] {
    const known: DnsRecord[] = [];
    for (const { origin, instance, pointer } of this.#services.values()) {
      const ttl = Math.floor((pointer.since + pointer.lifeMs - now) / 1_000);
      if (origin.link.key !== link.key || ttl * 2 <= OTHER_TTL || known.length >= MOST_KNOWN) continue;
      if (!known.some((record) => record.data === instance)) {
        known.push({ type: "PTR", name: SERVICE, ttl, flush: false, data: instance });
      }
    }
    return known;
  }

  #observePointer(record: DnsRecord & { type: "PTR" }, origin: Origin, now: number): void {
    const instance = record.data;
    if (!instance.endsWith(`.${SERVICE}`) || instance.slice(0, -SERVICE.length - 1).includes(".")) return;
    const key = `${origin.source} ${instance}`;
    const known = this.#services.get(key);
    if (record.ttl === 0) {
      this.#services.delete(key);
      return;
    }
    if (known !== undefined) {
      known.pointer = lease(record, now);
      return;
    }
    // Nobody else can send packets from an address of ours, so all nodes on this machine may be seen.
    const most = origin.link.own.has(origin.source) ? MOST_SERVICES : MOST_PER_SOURCE;
    if (this.#services.size >= MOST_SERVICES || this.#servicesFrom(origin.source).length >= most) return;
    const pointer = lease(record, now);
    const fresh = { instance, origin, pointer, target: null, text: null, addresses: new Map() };
    this.#services.set(key, { ...fresh, lookups: 0, lookupAt: now + 1_000 });
  }

  #servicesFrom(source: string): Service[] {
    return [...this.#services.values()].filter((service) => service.origin.source === source);
  }

  #news(now: number): Sighting[] {
    const current = new Map<string, Omit<Told, "at">>();
    for (const service of this.#services.values()) {
      const port = service.target?.port ?? 0;
      if (!isDialablePort(port)) continue;
      for (const hostname of service.addresses.keys()) {
        const { source, link } = service.origin;
        const self = port === this.#ownPort && link.own.has(hostname);
        if (self || !isDialable(hostname, source, { link })) continue;
        current.set(`${hostname} ${port}`, { address: { hostname, port }, shortId: service.text?.shortId ?? null });
      }
    }
    const news: Sighting[] = [];
    for (const [key, { address, shortId }] of this.#told) {
      if (current.has(key)) continue;
      this.#told.delete(key);
      news.push({ source: "mdns", shortId, address, gone: true });
    }
    for (const [key, { address, shortId }] of current) {
      const before = this.#told.get(key);
      if (before !== undefined && before.shortId === shortId && now < before.at + REPEAT_MS) continue;
      this.#told.set(key, { address, shortId, at: now });
      news.push({ source: "mdns", shortId, address, gone: false });
    }
    return news;
  }
}

function observeAbout(service: Service, record: DnsRecord, now: number): void {
  if (record.type === "SRV") {
    const { port, target: host } = record.data;
    if (service.target !== null && service.target.host !== host) service.addresses.clear();
    service.target = record.ttl === 0 ? null : { ...lease(record, now), host, port };
  }
  if (record.type === "TXT") {
    service.text = record.ttl === 0 ? null : { ...lease(record, now), shortId: shortIdIn(record.data) };
  }
}

function observeAddresses(service: Service, records: readonly DnsRecord[], now: number): void {
  for (const record of records) {
    if (record.type !== "A" && record.type !== "AAAA") continue;
    const { type, data: address } = record;
    if (record.flush) {
      for (const [other, { type: ofType, since }] of service.addresses) {
        if (ofType === type && since < now - FLUSH_GRACE_MS) service.addresses.delete(other);
      }
    }
    if (record.ttl === 0) service.addresses.delete(address);
    else if (service.addresses.has(address) || service.addresses.size < MOST_ADDRESSES) {
      service.addresses.set(address, { ...lease(record, now), type });
    }
  }
}

/** The short id in a text record of the version that we know. */
function shortIdIn(texts: readonly string[]): string | null {
  // RFC 6763 section 6.4: of several texts with one key the first counts.
  const value = (key: string) => texts.find((text) => text.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1);
  const id = value("id");
  return value("txtvers") === "1" && id !== undefined && /^[a-z2-7]{8}$/.test(id) ? id : null;
}

function isComplete(service: Service): boolean {
  return service.target !== null && service.addresses.size > 0;
}

function lease({ ttl }: DnsRecord, now: number): Lease {
  return { since: now, lifeMs: Math.min(Math.max(ttl, LEAST_TTL), OTHER_TTL) * 1_000, asked: 0 };
}

function isOver({ since, lifeMs }: Lease, now: number): boolean {
  return now >= since + lifeMs;
}

/** Whether to ask again for a record; counts as asked. */
function isDue(lease: Lease, now: number): boolean {
  const part = REFRESH_AT[lease.asked];
  if (part === undefined || now < lease.since + lease.lifeMs * part) return false;
  lease.asked++;
  return true;
}
