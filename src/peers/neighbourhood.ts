import { reasonOf } from "@ark/node/protocol";
import type { Discovery, Sighting } from "@ark/node/discovery";
import { type NodeId, nodeIdOf, shortId } from "@ark/node/identity";
import type { Logger } from "@ark/node/telemetry";
import type { PeerAddress } from "@ark/node/transport";

/**
 * How a node came to be known: seen by mDNS, named by the owner, at the other end of a WireGuard tunnel, it asked us with a
 * valid signature, or it was paired.
 */
export type NeighbourSource = "mdns" | "fixed" | "wireguard" | "registry" | "asked" | "paired";

/** A node that proved its key. Being known gives it nothing. */
export interface Neighbour {
  /** Its id. */
  readonly id: NodeId;
  /** Where it may be dialled, newest first. */
  readonly addresses: readonly PeerAddress[];
  /** How it came to be known. */
  readonly sources: readonly NeighbourSource[];
  /** Keys of the WireGuard tunnels at whose ends it answers now, `wg:` and base64. They grant nothing. */
  readonly tunnelKeys: readonly string[];
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
  /** Whether the owner wants to hear nothing of a node: it is not listed, and nothing is said of it. @default {none} */
  ignored?(id: NodeId): boolean;
  /** Says what was found. */
  logger: Logger;
  /** Called when a neighbour is new, or can be dialled at a new address. */
  found?: (id: NodeId) => void;
  /** Most neighbours that are not approved. @default {32} */
  most?: number;
  /** Most of them from one address. @default {3} */
  mostPerHost?: number;
  /** Monotonic time in milliseconds. @default {performance.now} */
  now?: () => number;
}

interface Seen {
  address: PeerAddress;
  source: NeighbourSource;
  tunnelKey: string | null;
}

interface Entry {
  id: NodeId;
  /** By address, the newest last. */
  seen: Map<string, Seen>;
  sources: Set<NeighbourSource>;
  firstSeen: string;
  lastSeen: string;
  lastSeenMs: number;
}

/** What is noted of a node. */
interface Sign {
  address: PeerAddress | null;
  source: NeighbourSource;
  tunnelKey?: string;
}

/** What dialling an address led to. */
interface Probe {
  id: NodeId | null;
  at: number;
  again: number;
  failures: number;
}

const LIFE_MS = 24 * 3_600_000;
const REPROBE_MS = 60_000;
/** Least time between two dials of an address that said goodbye, or is said to be another node's than answered there. */
const DOUBT_MS = 1_000;
const ADDRESSES_PER_NODE = 8;
const PROBES_AT_ONCE = 4;
const MOST_PROBES = 1_024;
/** How long it counts that our own key answered somewhere: five dials. */
const MIRROR_MS = 5 * REPROBE_MS;
const MOST_MIRRORS = 16;

/**
 * Nodes that were seen, each with its proven key.
 *
 * Sightings are spoofable, so each is only dialled: the key that answers there is what counts. Where a node answered, it
 * is dialled once a minute while it is sighted; where none did, after 2 s and then less and less often, down to every
 * five minutes; four at a time.
 */
export class Neighbourhood {
  readonly #options: Required<Omit<NeighbourhoodOptions, "found">>;
  readonly #found: (id: NodeId) => void;
  readonly #entries = new Map<NodeId, Entry>();
  readonly #probes = new Map<string, Probe>();
  readonly #mirrors = new Map<string, { address: PeerAddress; at: number }>();

  /** Makes an empty neighbourhood. */
  constructor(options: NeighbourhoodOptions) {
    this.#options = { most: 32, mostPerHost: 3, now: () => performance.now(), ignored: () => false, ...options };
    this.#found = options.found ?? (() => {});
  }

  /** Neighbours, last seen first; those not seen for a day are forgotten unless they are approved. */
  list(): Neighbour[] {
    this.#forgetOld();
    return [...this.#entries.values()].sort((a, b) => b.lastSeenMs - a.lastSeenMs).map((entry) => ({
      id: entry.id,
      addresses: addressesOf(entry),
      sources: [...entry.sources],
      tunnelKeys: tunnelKeysOf(entry),
      firstSeen: entry.firstSeen,
      lastSeen: entry.lastSeen,
    }));
  }

  /** Where a node may be dialled, newest first; empty when it was never seen. */
  addresses(id: NodeId): PeerAddress[] {
    const entry = this.#entries.get(id);
    return entry === undefined ? [] : addressesOf(entry);
  }

  /**
   * Notes a node that signed a request to us; its port is what it told, its host what the connection showed. Whether it is
   * listed now.
   */
  asked(id: NodeId, address: PeerAddress | null): boolean {
    this.#note(id, { address, source: "asked" });
    return this.#entries.has(id);
  }

  /** Notes where a node is that the owner paired with, or was invited by. */
  paired(id: NodeId, address: PeerAddress): void {
    this.#note(id, { address, source: "paired" });
  }

  /**
   * Addresses where our own key answered in the last minutes: this node itself, as others see it, or another one that was
   * given a copy of its key.
   */
  mirrors(): PeerAddress[] {
    const oldest = this.#options.now() - MIRROR_MS;
    return [...this.#mirrors.values()].filter(({ at }) => at >= oldest).map(({ address }) => address);
  }

  /** Forgets a node. */
  forget(id: NodeId): void {
    this.#entries.delete(id);
  }

  /** Dials where a node was seen at the next sighting, however lately that was done. */
  lookAgain(id: NodeId): void {
    for (const probe of this.#probes.values()) if (probe.id === id) probe.again = this.#options.now();
  }

  /** Follows a discovery until the signal fires. */
  async run(discovery: Discovery, signal: AbortSignal): Promise<void> {
    const probes = new Set<Promise<void>>();
    for await (const sighting of discovery.discover(signal)) {
      if (sighting.gone) this.#forgetAddress(sighting);
      else if (this.#due(sighting)) {
        const probe = this.#probe(sighting, signal).finally(() => probes.delete(probe));
        probes.add(probe);
        // A discovery keeps the latest state of each address for whoever is slow.
        if (probes.size >= PROBES_AT_ONCE) await Promise.race(probes);
      }
    }
    await Promise.all(probes);
  }

  #due(sighting: Sighting): boolean {
    const { address, shortId: short } = sighting;
    const probe = this.#probes.get(keyOf(address));
    if (probe === undefined) return true;
    const doubtful = short !== null && probe.id !== null && shortId(probe.id) !== short;
    if (probe.id !== null && !doubtful && this.#entries.has(probe.id)) this.#note(probe.id, sighting);
    return this.#options.now() >= (doubtful ? probe.at + DOUBT_MS : probe.again);
  }

  async #probe(sighting: Sighting, signal: AbortSignal): Promise<void> {
    const { address, shortId: short } = sighting;
    const key = keyOf(address);
    const { now, probe, logger } = this.#options;
    const { id: before = null, failures: failed = 0 } = this.#probes.get(key) ?? {};
    const at = now();
    this.#remember(key, { id: before, at, again: at + REPROBE_MS, failures: failed });
    try {
      const id = nodeIdOf(await probe(address, { signal }));
      this.#remember(key, { id, at, again: now() + REPROBE_MS, failures: 0 });
      if (id === this.#options.self) this.#noteMirror(key, address);
      if (short === null || shortId(id) === short) this.#note(id, sighting);
    } catch (error) {
      const failures = failed + 1;
      // A neighbour that is just starting should be found soon; one that never answers should cost nothing.
      const wait = Math.min(1_000 * 2 ** failures, REPROBE_MS * 5);
      this.#remember(key, { id: null, at, again: now() + wait, failures });
      const reason = reasonOf(error);
      logger.debug("A sighting could not be dialled", { address: key, reason });
    }
  }

  #noteMirror(key: string, address: PeerAddress): void {
    this.#mirrors.delete(key);
    this.#mirrors.set(key, { address, at: this.#options.now() });
    const oldest = this.#mirrors.keys().next().value;
    if (this.#mirrors.size > MOST_MIRRORS && oldest !== undefined) this.#mirrors.delete(oldest);
  }

  #remember(key: string, probe: Probe): void {
    this.#probes.delete(key);
    this.#probes.set(key, probe);
    const oldest = this.#probes.keys().next().value;
    if (this.#probes.size > MOST_PROBES && oldest !== undefined) this.#probes.delete(oldest);
  }

  #note(id: NodeId, sign: Sign): void {
    const { address, source } = sign;
    if (id === this.#options.self || (this.#options.ignored(id) && !this.#options.approved(id))) return;
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
    entry.lastSeenMs = this.#options.now();
    entry.sources.add(source);
    if (address !== null) {
      const key = keyOf(address);
      const before = entry.seen.get(key);
      news ||= before === undefined;
      entry.seen.delete(key);
      // What the owner named stays named, and what stands in the owner's tunnels stays there, however else it is seen.
      const lasts = isNamed(before?.source) || (before?.source === "wireguard" && !isNamed(source));
      const tunnelKey = sign.tunnelKey ?? before?.tunnelKey ?? null;
      entry.seen.set(key, { address, source: lasts ? before?.source ?? source : source, tunnelKey });
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
    // Those without an address share one host's room, or it would be a way around the cap.
    const sameHost = strangers.filter(({ seen }) =>
      address === null ? seen.size === 0 : seen.values().some((one) => one.address.hostname === address.hostname)
    );
    return strangers.length < most && sameHost.length < mostPerHost;
  }

  #forgetAddress({ address, source: whoSays }: Sighting): void {
    const key = keyOf(address);
    const probe = this.#probes.get(key);
    // One that says goodbye and comes back is to be found again soon.
    if (probe !== undefined && probe.id !== null) probe.again = Math.min(probe.again, probe.at + DOUBT_MS);
    for (const entry of this.#entries.values()) {
      const source = entry.seen.get(key)?.source;
      if (source === undefined || isNamed(source)) continue;
      if (source === "wireguard" && whoSays !== "wireguard") continue;
      entry.seen.delete(key);
      if (entry.seen.size === 0 && !this.#options.approved(entry.id)) this.#entries.delete(entry.id);
    }
  }

  #forgetOld(): void {
    const oldest = this.#options.now() - LIFE_MS;
    for (const [id, entry] of this.#entries) {
      if (entry.lastSeenMs < oldest && !this.#options.approved(id)) this.#entries.delete(id);
    }
  }
}

/** Whether an address came from the owner, and not from somebody who may say goodbye. */
function isNamed(source: NeighbourSource | undefined): boolean {
  return source === "fixed" || source === "paired";
}

function addressesOf(entry: Entry): PeerAddress[] {
  return [...entry.seen.values()].map(({ address }) => address).reverse();
}

function tunnelKeysOf(entry: Entry): string[] {
  return [...new Set(entry.seen.values().map(({ tunnelKey }) => tunnelKey).filter((key) => key !== null))];
}

function keyOf({ hostname, port }: PeerAddress): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
