import type { Discovery, Sighting } from "@ark/node/discovery";
import { type NodeId, nodeIdOf, shortId } from "@ark/node/identity";
import type { Logger } from "@ark/node/telemetry";
import type { PeerAddress } from "@ark/node/transport";

/** How a node came to be known: seen by mDNS, named by the owner, or it asked us with a valid signature. */
export type NeighbourSource = "mdns" | "fixed" | "asked";

/** A node that proved its key. Being known gives it nothing. */
export interface Neighbour {
  /** Its id. */
  readonly id: NodeId;
  /** Where it may be dialled, newest first. */
  readonly addresses: readonly PeerAddress[];
  /** How it came to be known. */
  readonly sources: readonly NeighbourSource[];
  /** When it was first seen, RFC 3339. */
  readonly firstSeen: string;
  /** When it was last seen, RFC 3339. */
  readonly lastSeen: string;
}

/** Options of {@linkcode Neighbourhood}. */
export interface NeighbourhoodOptions {
  /** Ourselves, who is no neighbour. */
  self: NodeId;
  /** Learns the key that answers at an address, and proves it. */
  probe(address: PeerAddress, options: { signal: AbortSignal }): Promise<Uint8Array>;
  /** Whether a neighbour is approved: approved ones are kept however full the list is. */
  approved(id: NodeId): boolean;
  /** Says what was found. */
  logger: Logger;
  /** Called when a neighbour is new, or can be dialled at a new address. */
  found?: (id: NodeId) => void;
  /** Most neighbours that are not approved. @default {32} */
  most?: number;
  /** Most of them from one address. @default {3} */
  mostPerHost?: number;
}

interface Seen {
  address: PeerAddress;
  source: NeighbourSource;
  at: number;
}

interface Entry {
  id: NodeId;
  seen: Map<string, Seen>;
  sources: Set<NeighbourSource>;
  firstSeen: string;
  lastSeen: string;
  lastSeenMs: number;
}

interface Probe {
  id: NodeId | null;
  again: number;
  failures: number;
}

const LIFE_MS = 24 * 3_600_000;
const REPROBE_MS = 60_000;
const ADDRESSES_PER_NODE = 8;
const PROBES_AT_ONCE = 4;

/**
 * Nodes that were seen, each with its proven key.
 *
 * Sightings are spoofable, so each is only dialled: the key that answers there is what counts. Addresses are probed at
 * most once a minute, and less often the more they fail; four at a time.
 */
export class Neighbourhood {
  readonly #options: Required<Omit<NeighbourhoodOptions, "found">>;
  readonly #found: (id: NodeId) => void;
  readonly #entries = new Map<NodeId, Entry>();
  readonly #probes = new Map<string, Probe>();
  #running = 0;

  /** Makes an empty neighbourhood. */
  constructor(options: NeighbourhoodOptions) {
    this.#options = { most: 32, mostPerHost: 3, ...options };
    this.#found = options.found ?? (() => {});
  }

  /** Neighbours, last seen first; those not seen for a day are forgotten unless they are approved. */
  list(): Neighbour[] {
    this.#forgetOld();
    return [...this.#entries.values()].sort((a, b) => b.lastSeenMs - a.lastSeenMs).map((entry) => ({
      id: entry.id,
      addresses: addressesOf(entry),
      sources: [...entry.sources],
      firstSeen: entry.firstSeen,
      lastSeen: entry.lastSeen,
    }));
  }

  /** Where a node may be dialled, newest first; empty when it was never seen. */
  addresses(id: NodeId): PeerAddress[] {
    const entry = this.#entries.get(id);
    return entry === undefined ? [] : addressesOf(entry);
  }

  /** Notes a node that signed a request to us; its port is what it told, its host what the connection showed. */
  asked(id: NodeId, address: PeerAddress | null): void {
    this.#note(id, address, "asked");
  }

  /** Follows a discovery until the signal fires. */
  async run(discovery: Discovery, signal: AbortSignal): Promise<void> {
    const probes = new Set<Promise<void>>();
    for await (const sighting of discovery.discover(signal)) {
      if (sighting.gone) this.#forgetAddress(sighting.address);
      else if (this.#due(sighting) && this.#running < PROBES_AT_ONCE) {
        const probe = this.#probe(sighting, signal).finally(() => probes.delete(probe));
        probes.add(probe);
      }
    }
    await Promise.all(probes);
  }

  #due({ address, source, shortId: short }: Sighting): boolean {
    const probe = this.#probes.get(keyOf(address));
    if (probe === undefined) return true;
    const known = probe.id !== null && this.#entries.has(probe.id) && (short === null || shortId(probe.id) === short);
    if (known && probe.id !== null) this.#note(probe.id, address, source);
    return performance.now() >= probe.again || (short !== null && probe.id !== null && shortId(probe.id) !== short);
  }

  async #probe({ address, source, shortId: short }: Sighting, signal: AbortSignal): Promise<void> {
    const key = keyOf(address);
    const before = this.#probes.get(key);
    this.#probes.set(key, { id: before?.id ?? null, again: performance.now() + REPROBE_MS, failures: before?.failures ?? 0 });
    this.#running++;
    try {
      const id = nodeIdOf(await this.#options.probe(address, { signal }));
      this.#probes.set(key, { id, again: performance.now() + REPROBE_MS, failures: 0 });
      if (id === this.#options.self) return;
      if (short !== null && shortId(id) !== short) return;
      this.#note(id, address, source);
    } catch (error) {
      const failures = (before?.failures ?? 0) + 1;
      // A neighbour that is just starting should be found soon; one that never answers should cost nothing.
      const wait = Math.min(1_000 * 2 ** failures, REPROBE_MS * 5);
      this.#probes.set(key, { id: null, again: performance.now() + wait, failures });
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.logger.debug("A sighting could not be dialled", { address: key, reason });
    } finally {
      this.#running--;
      if (this.#probes.size > 1_024) this.#probes.clear();
    }
  }

  #note(id: NodeId, address: PeerAddress | null, source: NeighbourSource): void {
    if (id === this.#options.self) return;
    let entry = this.#entries.get(id);
    const now = new Date().toISOString();
    let news = false;
    if (entry === undefined) {
      if (!this.#roomFor(id, address)) return;
      entry = { id, seen: new Map(), sources: new Set(), firstSeen: now, lastSeen: now, lastSeenMs: 0 };
      this.#entries.set(id, entry);
      news = true;
      this.#options.logger.info("A node proved its key", { peer: id, ...(address ? { address: keyOf(address) } : {}) });
    }
    entry.lastSeen = now;
    entry.lastSeenMs = performance.now();
    entry.sources.add(source);
    if (address !== null) {
      const key = keyOf(address);
      news ||= !entry.seen.has(key);
      entry.seen.delete(key);
      entry.seen.set(key, { address, source, at: performance.now() });
      const oldest = entry.seen.keys().next().value;
      if (entry.seen.size > ADDRESSES_PER_NODE && oldest !== undefined) entry.seen.delete(oldest);
    }
    if (news) this.#found(id);
  }

  #roomFor(id: NodeId, address: PeerAddress | null): boolean {
    const { approved, most, mostPerHost } = this.#options;
    if (approved(id)) return true;
    this.#forgetOld();
    const strangers = [...this.#entries.values()].filter((entry) => !approved(entry.id));
    const sameHost = strangers.filter((entry) =>
      [...entry.seen.values()].some((seen) => seen.address.hostname === address?.hostname)
    );
    return strangers.length < most && sameHost.length < mostPerHost;
  }

  #forgetAddress(address: PeerAddress): void {
    const key = keyOf(address);
    this.#probes.delete(key);
    for (const entry of this.#entries.values()) {
      if (entry.seen.get(key)?.source !== "mdns") continue;
      entry.seen.delete(key);
      if (entry.seen.size === 0 && !this.#options.approved(entry.id)) this.#entries.delete(entry.id);
    }
  }

  #forgetOld(): void {
    const oldest = performance.now() - LIFE_MS;
    for (const [id, entry] of this.#entries) {
      if (entry.lastSeenMs < oldest && !this.#options.approved(id)) this.#entries.delete(id);
    }
  }
}

function addressesOf(entry: Entry): PeerAddress[] {
  return [...entry.seen.values()].sort((a, b) => b.at - a.at).map((seen) => seen.address);
}

function keyOf({ hostname, port }: PeerAddress): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
