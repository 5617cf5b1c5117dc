import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { NodeId } from "@ark/node/identity";
import { nextBeat } from "@ark/node/telemetry";
import type { Discovery, Sighting } from "./discovery.ts";
import { linksFor } from "./link.ts";
import { MdnsSession } from "./mdns_session.ts";
import { drawNames, type OwnNames } from "./own_records.ts";
import { ServiceCache } from "./service_cache.ts";
import { SightingQueue } from "./sighting_queue.ts";

/** Options of {@linkcode MdnsDiscovery}. */
export interface MdnsDiscoveryOptions {
  /** Id of this node; its first 8 characters are announced. */
  id: NodeId;
  /** Port of its mesh listener, which is announced. */
  port: number;
  /**
   * IP address that the mesh listener is bound to. It decides which networks hear of it and which addresses they are
   * told: all for `0.0.0.0` and `::`, else only this one.
   * @default {"0.0.0.0"}
   */
  hostname?: string;
  /** Takes one sentence for a person each time when mDNS turns out not to work for a new reason. */
  unavailable?: (sentence: string) => void;
}

const TICK_MS = 1_000;
/** Ticks between two looks at the network interfaces, and between two tries where mDNS did not work. */
const LOOK_EVERY = 5;

/**
 * Finds nodes of the local network by multicast DNS (RFC 6762, RFC 6763), and is found by them while it looks.
 *
 * It looks for `_arknet._tcp` after 0, 1, 3, 7 s and so on up to once a minute, and asks again for what it knows at
 * 80 % of its time to live, so a node that vanished without a goodbye is gone after 120 s. Interfaces that come, go or
 * change their address are noticed within 5 s. It keeps at most 64 services, 3 of one sender.
 *
 * Which addresses are passed on: those of the sender's own network, private ones, and loopback only where this machine
 * has no other network. Ports below 1024 and 8910 are not.
 */
export class MdnsDiscovery implements Discovery {
  /** Always `mdns`. */
  readonly name = "mdns";
  readonly #id: NodeId;
  readonly #port: number;
  readonly #hostname: string;
  readonly #unavailable: (sentence: string) => void;

  /**
   * Takes what is announced.
   *
   * @throws {RangeError} when nobody can dial the port.
   * @throws {TypeError} when `hostname` is no IP address.
   */
  constructor({ id, port, hostname = "0.0.0.0", unavailable = () => {} }: MdnsDiscoveryOptions) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new RangeError(`Cannot announce a listener: its port must be from 1 to 65535, current value is ${port}`);
    }
    this.#hostname = hostname === "localhost" ? "127.0.0.1" : hostname;
    if (isIP(this.#hostname) === 0) {
      throw new TypeError(`Cannot announce a listener: its host must be an IP address, current value is ${hostname}`);
    }
    this.#id = id;
    this.#port = port;
    this.#unavailable = unavailable;
  }

  /** Announces this node and yields others, until the signal fires. */
  async *discover(signal: AbortSignal): AsyncGenerator<Sighting> {
    const stop = new AbortController();
    const queue = new SightingQueue();
    const run = this.#run(queue, AbortSignal.any([signal, stop.signal])).finally(() => queue.close());
    try {
      yield* queue.until(signal);
    } finally {
      stop.abort();
      await run;
    }
  }

  async #run(queue: SightingQueue, signal: AbortSignal): Promise<void> {
    const cache = new ServiceCache(this.#port);
    const heard = (sightings: Sighting[]) => sightings.forEach((sighting) => queue.put(sighting));
    let names: OwnNames = drawNames();
    let session: MdnsSession | null = null;
    let key: string | null = null;
    let loopbackToo = false;
    let told: string | null = null;
    for (let tick = 0; !signal.aborted; tick++) {
      if (tick % LOOK_EVERY === 0) {
        loopbackToo = session?.deaf ?? loopbackToo;
        let fault: unknown = session?.fault ?? (loopbackToo ? "deaf" : null);
        const links = linksFor(this.#hostname, networkInterfaces(), { loopbackToo });
        const newKey = JSON.stringify(links.map((link) => link.key));
        if (session === null || session.conflicting || newKey !== key) {
          if (session?.conflicting) names = drawNames();
          await session?.[Symbol.asyncDispose]();
          session = null;
          key = newKey;
          heard(cache.keepLinks(links, performance.now()));
          try {
            session = await MdnsSession.open({ links, names, id: this.#id, port: this.#port, cache, heard });
          } catch (error) {
            fault = error;
          }
        }
        const sentence = fault === null ? null : sentenceFor(fault, links.length);
        if (sentence !== null && sentence !== told) this.#unavailable(sentence);
        told = sentence;
      }
      session?.refresh(performance.now());
      heard(cache.sweep(performance.now()));
      await nextBeat(TICK_MS, { signal });
    }
    await session?.goodbye();
    await session?.[Symbol.asyncDispose]();
  }
}

function sentenceFor(fault: unknown, links: number): string {
  const code = fault instanceof Error ? ("code" in fault ? String(fault.code) : fault.message) : null;
  const reason = links === 0
    ? "no network interface has an IPv4 address to announce"
    : code === null
    ? "our own packets do not come back, so a firewall may block UDP port 5353"
    : code === "EADDRINUSE"
    ? "another program holds UDP port 5353 for itself"
    : code === "EACCES" || code === "EPERM"
    ? `the system does not allow UDP port 5353 (${code})`
    : `the network takes no multicast now${code === "UNKNOWN" ? "" : ` (${code})`}`;
  return `Neighbours on other machines cannot be found by mDNS: ${reason}; name them with --peer HOST:PORT`;
}
